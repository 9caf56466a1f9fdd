/**
 * The program of a driver process: `node main.ts '<HostedPlugin as JSON>'` with the kernel on file
 * descriptor 3. It ends when that closes, whatever the reason: without a kernel nothing may talk
 * to the field. (While plugin code spins it cannot see that; then the parent-death signal that
 * the kernel's launcher sets, or systemd's control group, ends it.)
 */
import { Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { SystemClock } from '../../kernel/system-clock.ts';
import { HostProgram } from './host-program.ts';
import { type HostedPlugin, loadDrivers } from './load-drivers.ts';

/** Time that open links have to close, milliseconds. */
const closeMs = 3_000;
/** The resolution of the delay monitor, which it adds to each delay. */
const lagResolutionMs = 20;

const die = (error: unknown) => {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`${text.slice(0, 2_000)}\n`);
  process.exit(70);
};
process.on('uncaughtException', die);
process.on('unhandledRejection', die);

const plugin = JSON.parse(process.argv[2] ?? '') as HostedPlugin;
const lag = monitorEventLoopDelay({ resolution: lagResolutionMs });
lag.enable();

// Before any code of the plugin runs: a plugin that never ends loading must see the end as well.
const stream = new Socket({ fd: 3, readable: true, writable: true });
stream.on('close', () => process.exit(0));

const drivers = await loadDrivers(plugin);
const program = new HostProgram({
  plugin: plugin.name,
  stream,
  drivers,
  actions: plugin.actions,
  clock: new SystemClock(plugin.bootId),
  lagMs() {
    const worst = lag.max / 1e6 - lagResolutionMs;
    lag.reset();
    return Math.max(0, Math.round(worst));
  },
  ended(cause) {
    setTimeout(() => process.exit(0), closeMs).unref();
    program.close().then(() => process.exit(0), die);
    if (cause.length > 0) process.stderr.write(`ending: ${cause}\n`);
  },
});
program.open();
