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

/** Runs a measurement and undoes what it started, whatever happens. */
export async function inScope<T>(measure: (scope: BenchScope) => Promise<T>): Promise<T> {
  const scope = new BenchScope();
  try {
    return await measure(scope);
  } finally {
    await scope.close();
  }
}
