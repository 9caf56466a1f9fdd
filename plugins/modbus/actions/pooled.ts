/**
 * Works on jobs, so many at a time, and gives what is found in the order in which it is found.
 * Begins nothing more once the signal has ended or nobody takes results any more, and ends when
 * what was begun has ended.
 */
export async function* pooled<Job, Found>(
  jobs: Iterable<Job>,
  concurrency: number,
  work: (job: Job) => Promise<readonly Found[]>,
  signal: AbortSignal,
): AsyncGenerator<Found> {
  const found: Found[] = [];
  const source = jobs[Symbol.iterator]();
  let running = 0;
  let stopped = false;
  let failure: { readonly error: unknown } | undefined;
  let wake = () => {};
  const begin = () => {
    while (!stopped && !signal.aborted && failure === undefined && running < concurrency) {
      const next = source.next();
      if (next.done === true) return;
      running += 1;
      work(next.value)
        .then(
          (items) => void found.push(...items),
          (error: unknown) => {
            failure ??= { error };
          },
        )
        .finally(() => {
          running -= 1;
          begin();
          wake();
        });
    }
  };
  try {
    begin();
    for (;;) {
      while (found.length > 0) yield found.shift() as Found;
      if (running === 0) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (failure !== undefined) throw failure.error;
  } finally {
    stopped = true;
  }
}
