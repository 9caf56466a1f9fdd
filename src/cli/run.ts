import { Gateway } from '../gateway.ts';
import { GatewayError } from '../model/errors.ts';
import { takeSystemdEnvironment } from '../systemd/environment.ts';
import { exitCodes } from './exit-codes.ts';
import { defaultConfigFolder } from './load-configuration.ts';

export interface RunOptions {
  /** Folder of the configuration. */
  readonly config?: string;
  /** Where the control API listens, instead of control.sock in paths.runtime. */
  readonly socket?: string;
  /** `key=value` for each setting that is overridden. */
  readonly set?: readonly string[];
}

/** Runs the daemon until it is told to stop. Resolves with the exit code. */
export async function run(options: RunOptions): Promise<number> {
  const stop = new AbortController();
  const stopBy = (signal: NodeJS.Signals) => stop.abort(signal);
  process.once('SIGTERM', stopBy);
  process.once('SIGINT', stopBy);
  const systemd = takeSystemdEnvironment(process.env);
  const gateway = await Gateway.create({
    config: options.config ?? process.env.RISER_CONFIG ?? defaultConfigFolder,
    env: process.env,
    flags: flagsOf(options.set),
    ...(options.socket === undefined ? {} : { socket: options.socket }),
    systemd,
  });
  try {
    await gateway.start();
    const reload = () => {
      gateway.apply().catch((error: unknown) => gateway.failed('config', error));
    };
    process.on('SIGHUP', reload);
    await aborted(stop.signal);
    process.off('SIGHUP', reload);
    return exitCodes.ok;
  } catch (error) {
    const { message, remedy } = GatewayError.from(error, 'INTERNAL', String(error));
    process.stderr.write(`riser: ${message}\n  → ${remedy}\n`);
    return exitCodes.failed;
  } finally {
    await gateway.close(stop.signal.aborted ? String(stop.signal.reason) : 'failed start');
  }
}

/** Settings of the command line by their dotted name. Throws USAGE. */
function flagsOf(set: readonly string[] = []): Record<string, string> {
  const flags: Record<string, string> = {};
  for (const pair of set) {
    const equals = pair.indexOf('=');
    if (equals < 1) {
      throw new GatewayError('USAGE', `--set takes key=value, such as http.port=0, not "${pair}"`);
    }
    flags[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  return flags;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
