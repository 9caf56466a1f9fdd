import type { ActionOutput } from '#driver';
import { ModbusError } from '../modbus-error.ts';
import { exceptionOf, readRequest } from '../pdu.ts';
import { tcpSettings } from '../settings.ts';
import { TcpLink } from '../tcp-link.ts';
import type { ActionScene } from './conversation.ts';
import { hostRanges, numberList } from './hosts.ts';
import { identityText, readIdentity } from './identity.ts';
import { pooled } from './pooled.ts';

export interface ScanArguments {
  readonly mode: 'tcp';
  readonly targets: readonly string[];
  readonly ports?: readonly string[];
  readonly units?: readonly string[];
  readonly timeoutMs?: number;
  readonly force?: boolean;
}

interface Place {
  readonly host: string;
  readonly port: number;
}

/** Connections that are open at the same time. */
const maxSockets = 64;
const usualTimeoutMs = 500;
/** Places between two reports of progress. */
const progressEvery = 32;

/** Looks for Modbus devices in a network. Reads only what a device says about itself. */
export async function* scan(
  scene: ActionScene,
  args: ScanArguments,
  signal: AbortSignal,
): AsyncGenerator<ActionOutput> {
  const range = hostRanges(args.targets, args.force === true);
  const ports = numberList('port', args.ports ?? ['502', '1502'], 65_535);
  const units = numberList('unit', args.units ?? ['1'], 255);
  const timeoutMs = args.timeoutMs ?? usualTimeoutMs;
  const total = range.size * ports.length;
  yield {
    kind: 'plan',
    text: `${range.size === 1 ? '1 host' : `${range.size} hosts`} x ${listed('port', ports)}, ${listed('unit', units)}, timeout ${timeoutMs} ms`,
    seconds: (Math.ceil(total / maxSockets) * timeoutMs + 2 * units.length * timeoutMs) / 1000,
  };
  const places = function* (): Iterable<Place> {
    for (const host of range.hosts()) for (const port of ports) yield { host, port };
  };
  let done = 0;
  const work = async (place: Place): Promise<readonly ActionOutput[]> => {
    const rows = await lookAt(scene, place, units, timeoutMs, signal);
    done += 1;
    const tells = done % progressEvery === 0 || rows.length > 0;
    return tells ? [...rows, { kind: 'progress', done, total }] : rows;
  };
  yield* pooled(places(), maxSockets, work, signal);
}

const listed = (what: string, numbers: readonly number[]) =>
  numbers.length <= 4
    ? `${what} ${numbers.join(', ')}`
    : `${numbers.length} ${what}s (${numbers[0]} to ${numbers.at(-1)})`;

/** The units that answer at one place. */
async function lookAt(
  scene: ActionScene,
  { host, port }: Place,
  units: readonly number[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<readonly ActionOutput[]> {
  const settings = tcpSettings({ host, port, connectTimeoutMs: timeoutMs, maxTimeouts: 2 });
  const link = new TcpLink(scene.host, settings, () => units.length > 1);
  const rows: ActionOutput[] = [];
  const add = (unit: number | null, answer: string, identity: string) =>
    rows.push({ kind: 'row', row: { host, port, unit, answer, identity } });
  try {
    await link.open(signal);
    for (const unit of units) {
      const ask = (pdu: Buffer) =>
        link.request({ unit, pdu, timeoutMs, interRequestMs: 0, signal });
      const from = scene.host.monotonic();
      const first = await firstAnswer(ask);
      if (signal.aborted) break;
      if (first === undefined) continue;
      const answer = `${Math.max(1, Math.round(scene.host.monotonic() - from))} ms`;
      const identity = await readIdentity(ask).catch(() => undefined);
      const text = identity === undefined ? '' : identityText(identity);
      const odd = identity?.oddities.map((each) => ` (${each})`).join('') ?? '';
      const how = exceptionOf(first) === undefined ? answer : `${answer} exc ${exceptionOf(first)}`;
      add(unit, how, `${text}${odd}`.trim() || '-');
    }
    if (rows.length === 0 && !signal.aborted) {
      add(null, 'port open', 'no Modbus answer from these units');
    }
  } catch (error) {
    // Nobody listens at most of the places.
    if (!(error instanceof ModbusError)) throw error;
  } finally {
    await link.close();
  }
  return rows;
}

/** Any answer, also an exception; a path that a serial gateway does not have is none. */
async function firstAnswer(ask: (pdu: Buffer) => Promise<Buffer>): Promise<Buffer | undefined> {
  try {
    const answer = await ask(readRequest('holding', 0, 1));
    const exception = exceptionOf(answer);
    return exception === 10 || exception === 11 ? undefined : answer;
  } catch (error) {
    if (error instanceof ModbusError && error.kind === 'timeout') return undefined;
    if (error instanceof ModbusError && error.kind === 'bad-response') return undefined;
    throw error;
  }
}
