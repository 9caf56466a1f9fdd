import type { Clock } from '../model/clock.ts';
import { GatewayError } from '../model/errors.ts';

type Timers = Pick<Clock, 'setTimeout'>;

/** Timers that keep the process alive: a wait during the stop must not end with the process. */
const processTimers: Timers = {
  setTimeout(fn, ms) {
    const timer = setTimeout(fn, ms);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

/** Resolves after a time; rejects at once with the signal's reason when it aborts. */
export function sleep(
  ms: number,
  signal?: AbortSignal,
  timers: Timers = processTimers,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const stop = () => {
      timer[Symbol.dispose]();
      reject(signal?.reason);
    };
    const timer = timers.setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Gives up waiting after a time: rejects with DEADLINE. What is waited for goes on and stays owned by the caller's part. */
export async function withDeadline<Result>(
  what: string,
  ms: number,
  work: Promise<Result>,
  timers: Timers = processTimers,
): Promise<Result> {
  let timer: Disposable | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = timers.setTimeout(
      () => reject(new GatewayError('DEADLINE', `${what} took longer than ${ms} ms`)),
      ms,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.[Symbol.dispose]();
  }
}
