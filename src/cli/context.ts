import { remedies } from '../model/errors.ts';
import { CommandError, interrupted } from './command-error.ts';
import type { ControlClient } from './control-client.ts';
import type { Output } from './output.ts';

/** Options that every command takes. */
export interface GlobalOptions {
  readonly json?: boolean;
  readonly socket?: string;
  readonly timeout?: string;
  readonly color?: boolean;
}

/** What a command works with. */
export interface Context {
  readonly out: Output;
  readonly json: boolean;
  readonly env: NodeJS.ProcessEnv;
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal;
  /** Rejects a moment after Ctrl-C: for work that cannot be stopped. */
  readonly overdue: Promise<never>;
  /** Milliseconds of --timeout, or what the command takes usually. */
  timeoutMs(usual: number): number;
  client(usualTimeoutMs: number): Promise<ControlClient>;
}

const maxTimeoutS = 3_600;

/** What a command may take to end by itself once Ctrl-C was pressed. */
const graceMs = 1_000;

/** Builds the context of one command; dispose it when the command has ended. */
export function createContext(
  out: Output,
  options: GlobalOptions,
  env: NodeJS.ProcessEnv,
): Context & Disposable {
  const stop = new AbortController();
  // The second Ctrl-C ends the process at once, as without us.
  const onInterrupt = () => stop.abort(interrupted());
  process.once('SIGINT', onInterrupt);
  const onClosed = () => stop.abort(interrupted());
  out.closed.addEventListener('abort', onClosed, { once: true });

  const overdue = new Promise<never>((_, reject) => {
    stop.signal.addEventListener('abort', () => {
      setTimeout(() => reject(stop.signal.reason), graceMs).unref();
    });
  });
  // When the command has ended in time nobody asks.
  overdue.catch(() => undefined);

  const timeoutMs = (usual: number) => {
    if (options.timeout === undefined) return usual;
    const seconds = Number(options.timeout);
    if (!(seconds > 0 && seconds <= maxTimeoutS)) {
      throw new CommandError(
        'USAGE',
        `--timeout takes seconds, more than 0 and at most ${maxTimeoutS}`,
        remedies.USAGE,
      );
    }
    return Math.ceil(seconds * 1000);
  };
  return {
    out,
    env,
    json: options.json === true,
    signal: stop.signal,
    overdue,
    timeoutMs,
    async client(usual) {
      const { ControlClient, defaultSocket } = await import('./control-client.ts');
      return new ControlClient({
        socketPath: options.socket ?? (env.RISER_SOCKET || defaultSocket),
        timeoutMs: timeoutMs(usual),
        signal: stop.signal,
      });
    },
    [Symbol.dispose]() {
      process.off('SIGINT', onInterrupt);
      out.closed.removeEventListener('abort', onClosed);
    },
  };
}
