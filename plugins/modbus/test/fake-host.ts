import type { DriverError, DriverHost } from '#driver';

/** A host with real clocks and timers that remembers what it was told. */
export interface FakeHost extends DriverHost {
  readonly metrics: Map<string, number>;
  readonly lost: DriverError[];
  /** Timers that are still waiting. */
  timers(): number;
  /** Makes the monotonic clock jump ahead. */
  skip(ms: number): void;
}

/** A DriverHost for tests. */
export function fakeHost(): FakeHost {
  const metrics = new Map<string, number>();
  const lost: DriverError[] = [];
  const running = new Set<NodeJS.Timeout>();
  let skipped = 0;
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const disposable = (timer: NodeJS.Timeout): Disposable => ({
    [Symbol.dispose]() {
      clearTimeout(timer);
      running.delete(timer);
    },
  });
  return {
    linkId: 'test',
    apiVersion: '1.0',
    log: quiet,
    now: () => Date.now(),
    monotonic: () => performance.now() + skipped,
    setTimeout(fn, ms) {
      const timer = setTimeout(() => {
        running.delete(timer);
        fn();
      }, ms);
      running.add(timer);
      return disposable(timer);
    },
    setInterval(fn, ms) {
      const timer = setInterval(fn, ms);
      running.add(timer);
      return disposable(timer);
    },
    metric(name, value, labels) {
      const key = labels === undefined ? name : `${name}{${Object.values(labels).join()}}`;
      metrics.set(key, (metrics.get(key) ?? 0) + value);
    },
    connectionLost: (reason) => {
      lost.push(reason);
    },
    metrics,
    lost,
    timers: () => running.size,
    skip(ms) {
      skipped += ms;
    },
  };
}
