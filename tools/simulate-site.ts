/**
 * Runs simulated devices without a gateway, for technicians, tests and benches:
 *
 *   npx node tools/simulate-site.ts --meters 3 --units 30 --dead 5 --serialise --for 20s
 *
 * Prints one line for each device on standard output, then a line that says that all are
 * listening, and runs until SIGTERM or SIGINT.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type LinkConfig, linkConfig, linkIssues } from '../plugins/simulator/link-config.ts';
import { type Endpoint, SimulatedSite } from '../plugins/simulator/site.ts';
import { standaloneRuntime } from '../plugins/simulator/standalone.ts';

const usage = `Runs simulated Modbus TCP devices.

  --meters <n>      meters with an endpoint of their own each, unit 1 (default 3)
  --units <n>       units behind one more endpoint, meters and pumps in turn (default 0)
  --dead <n>        how many of those never answer, the last ones (default 0)
  --model <name>    model of all devices: meter, pump or counter
  --serialise       that endpoint answers one request at a time, as a gateway to RS-485 does
  --turnaround <ms> time of one request there (default 20)
  --port <n>        port of the first endpoint, the others follow; 0 = any free ones (default 0)
  --host <address>  where to listen (default 127.0.0.1, this machine only)
  --config <file>   the config of a simulator link as JSON, instead of all of the above
  --for <time>      end after this time, such as 20s or 500ms
  --json            print JSON, one object a line
  --help            show this text
`;

const options = {
  meters: { type: 'string', default: '3' },
  units: { type: 'string', default: '0' },
  dead: { type: 'string', default: '0' },
  model: { type: 'string' },
  serialise: { type: 'boolean', default: false },
  turnaround: { type: 'string', default: '20' },
  port: { type: 'string', default: '0' },
  host: { type: 'string', default: '127.0.0.1' },
  config: { type: 'string' },
  for: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

type Flags = ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];

process.exitCode = await main();

async function main(): Promise<number> {
  const ended = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => ended.abort(signal));
  }
  // Whoever read the lines is gone, and with it the one for whom this runs.
  process.stdout.on('error', () => ended.abort());
  try {
    const { values } = parseArgs({ options });
    if (values.help) {
      process.stdout.write(usage);
      return 0;
    }
    const lifetime = values.for === undefined ? undefined : milliseconds(values.for);
    await simulate(siteOf(values), values.json, lifetime, ended.signal);
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function simulate(
  config: LinkConfig,
  json: boolean,
  lifetimeMs: number | undefined,
  ended: AbortSignal,
): Promise<void> {
  const site = new SimulatedSite(config, standaloneRuntime());
  if (ended.aborted) return;
  await site.open(ended);
  for (const endpoint of site.endpoints()) {
    process.stdout.write(line(endpoint, isDead(config, endpoint), json));
  }
  process.stdout.write(json ? '{"listening":true}\n' : 'All are listening; Ctrl-C ends.\n');
  // The longest timer that Node has, for a site without a lifetime: about 24 days.
  const wanted = lifetimeMs ?? 2 ** 31 - 1;
  await wait(wanted, undefined, { signal: ended }).catch(() => undefined);
  const counters = site.counters();
  await site.close();
  process.stdout.write(json ? `${JSON.stringify({ counters })}\n` : '');
}

function line(endpoint: Endpoint, dead: boolean, json: boolean): string {
  if (json) return `${JSON.stringify({ ...endpoint, dead })}\n`;
  const { host, port, unit, model, seed } = endpoint;
  return `${host}:${port}  unit ${unit}  ${model}  seed ${seed}${dead ? '  dead' : ''}\n`;
}

function isDead(config: LinkConfig, { listener, unit }: Endpoint): boolean {
  const faults = config.listeners[listener]?.faults ?? [];
  return faults.some((fault) => fault.kind === 'dropUnits' && fault.units.includes(unit));
}

function siteOf(flags: Flags): LinkConfig {
  const config = flags.config === undefined ? generated(flags) : readConfig(flags.config);
  const [issue] = linkIssues(config);
  if (issue !== undefined) throw new Error(`${issue.path.replace('/link/', '')}: ${issue.message}`);
  return linkConfig(config);
}

function readConfig(file: string): ReturnType<typeof JSON.parse> {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function generated(flags: Flags): ReturnType<typeof JSON.parse> {
  const meters = whole('--meters', flags.meters, 1000);
  const units = whole('--units', flags.units, 247);
  const dead = whole('--dead', flags.dead, units);
  const first = whole('--port', flags.port, 65_535);
  const { host, model } = flags;
  const modelOf = (n: number) => model ?? (n % 2 === 0 ? 'meter' : 'pump');
  const port = (n: number) => (first === 0 ? 0 : first + n);
  const listeners: object[] = Array.from({ length: meters }, (_, n) => ({
    host,
    port: port(n),
    units: [{ unit: 1, model: model ?? 'meter', seed: (n + 1) % 4096 }],
  }));
  if (units > 0) {
    const numbers = Array.from({ length: units }, (_, n) => n + 1);
    const deadUnits = numbers.slice(units - dead);
    listeners.push({
      host,
      port: port(meters),
      units: numbers.map((unit, n) => ({ unit, model: modelOf(n), seed: meters + unit })),
      ...(dead > 0 ? { faults: [{ kind: 'dropUnits', units: deadUnits }] } : {}),
      ...(flags.serialise
        ? { serialise: true, turnaroundMs: whole('--turnaround', flags.turnaround, 60_000) }
        : {}),
    });
  }
  if (listeners.length === 0) throw new Error('nothing to simulate: give --meters or --units');
  return { listeners };
}

function whole(flag: string, text: string, most: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(number) || number > most) {
    throw new Error(`${flag} must be a whole number from 0 to ${most}, not "${text}"`);
  }
  return number;
}

function milliseconds(text: string): number {
  const [, number, unit] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  const factors: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const factor = factors[unit ?? ''];
  if (number === undefined || factor === undefined) {
    throw new Error(`--for must be a time such as 20s or 500ms, not "${text}"`);
  }
  return Math.min(Number(number) * factor, 2 ** 31 - 1);
}
