/** Remembers how to undo what a measurement starts: what ava's teardown is to a test. */
export class BenchScope {
  readonly #undo: (() => unknown)[] = [];

  /** Runs a function when the measurement is over, in reverse order. */
  readonly teardown = (fn: () => unknown): void => {
    this.#undo.push(fn);
  };

  async close(): Promise<void> {
    for (const fn of this.#undo.splice(0).reverse()) await fn();
  }
}

const open = new Set<BenchScope>();

/** Ends what measurements have started: the bench is interrupted. */
export async function closeOpenScopes(): Promise<void> {
  for (const scope of open) await scope.close();
}

/** Runs a measurement and undoes what it started, whatever happens. */
export async function inScope<T>(measure: (scope: BenchScope) => Promise<T>): Promise<T> {
  const scope = new BenchScope();
  open.add(scope);
  try {
    return await measure(scope);
  } finally {
    open.delete(scope);
    await scope.close();
  }
}
