import type { Clock } from '../../model/clock.ts';

/** What became of a call into a plugin. */
export type Called<Result> =
  | { readonly outcome: 'done'; readonly result: Result; readonly late: boolean }
  /** `late`: it was told to stop because its time was over, not by its caller. */
  | { readonly outcome: 'failed'; readonly error: unknown; readonly late: boolean }
  /** It did not settle, although it was told to stop; its promise is abandoned. */
  | { readonly outcome: 'hung' };

/**
 * Calls into a plugin with an end: after `ms` its signal aborts, after `graceMs` more it is
 * abandoned. Never rejects, whatever the plugin does, also when it throws instead of rejecting.
 */
export function boundedCall<Result>(
  clock: Clock,
  ms: number,
  graceMs: number,
  call: (signal: AbortSignal) => Promise<Result> | Result,
  outer?: AbortSignal,
): Promise<Called<Result>> {
  return new Promise((resolve) => {
    const controller = new AbortController();
    let grace: Disposable | undefined;
    let late = false;
    const abort = (reason: unknown) => {
      if (controller.signal.aborted) return;
      controller.abort(reason);
      grace = clock.setTimeout(() => settle({ outcome: 'hung' }), graceMs);
    };
    const stop = () => abort(outer?.reason);
    const deadline = clock.setTimeout(() => {
      late = !controller.signal.aborted;
      abort(new DOMException(`took more than ${ms} ms`, 'TimeoutError'));
    }, ms);
    outer?.addEventListener('abort', stop, { once: true });
    const settle = (called: Called<Result>) => {
      deadline[Symbol.dispose]();
      grace?.[Symbol.dispose]();
      outer?.removeEventListener('abort', stop);
      resolve(called);
    };
    if (outer?.aborted === true) stop();
    let work: Promise<Result> | Result;
    try {
      work = call(controller.signal);
    } catch (error) {
      settle({ outcome: 'failed', error, late });
      return;
    }
    Promise.resolve(work).then(
      (result) => settle({ outcome: 'done', result, late }),
      (error: unknown) => settle({ outcome: 'failed', error, late }),
    );
  });
}
