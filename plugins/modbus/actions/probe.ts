import type { ActionOutput } from '#driver';
import { holdsBits, type TableAddress } from '../address.ts';
import { ModbusError } from '../modbus-error.ts';
import { exceptionOf, protocolLimits, readRequest } from '../pdu.ts';
import { type ActionScene, Conversation, type TargetArguments } from './conversation.ts';
import { registerSpec, tableText } from './register-spec.ts';

export interface ProbeArguments extends TargetArguments {
  readonly register?: string;
  readonly count?: number;
}

/** Requests of one probe; what is not known then stays unknown. */
const maxRequests = 200;
const usualCount = 125;
/** Pauses between requests that are tried, milliseconds. */
const pauses = [0, 10, 20, 50, 100, 200];
const tries = 5;

type Block = readonly [from: number, to: number];

/**
 * Finds out by reading what a device takes: how many registers at once, which pause, and which
 * addresses it does not have. Gives it as the part of a profile that says so.
 */
export async function* probe(
  scene: ActionScene,
  args: ProbeArguments,
  signal: AbortSignal,
): AsyncGenerator<ActionOutput> {
  const start = registerSpec(args.register ?? 'holding:0');
  if (holdsBits(start.table)) {
    throw new ModbusError('bad-address', 'a probe needs registers: holding or input');
  }
  const end = Math.min(start.address + (args.count ?? usualCount), 0x1_0000);
  await using talk = Conversation.to(scene, args, signal);
  yield {
    kind: 'plan',
    text: `${tableText(start.table)} ${start.address} to ${end - 1} of ${talk.where}, at most ${maxRequests} requests of which most take 50 ms`,
    seconds: (maxRequests * 50) / 1000,
  };
  await talk.open();
  const device = new ProbedDevice(talk, start);
  const pause = await device.pause();
  yield { kind: 'progress', done: device.requests, total: maxRequests };
  const pieces: (readonly [Block, boolean])[] = [];
  for await (const piece of device.survey([start.address, end - 1])) {
    pieces.push(piece);
    yield { kind: 'progress', done: device.requests, total: maxRequests };
  }
  const longest = await device.longestRead(joined(pieces, true));
  const holes = joined(pieces, false);
  for (const yaml of fragment(pause, longest, holes)) yield { kind: 'row', row: { yaml } };
  if (device.isSpent) {
    const text = `ended after ${maxRequests} requests; probe a smaller part with --count`;
    yield { kind: 'note', level: 'warning', text };
  }
}

/** A device that is asked so many times and no more. */
class ProbedDevice {
  readonly #talk: Conversation;
  readonly #start: TableAddress;
  #pauseMs = 0;
  requests = 0;

  constructor(talk: Conversation, start: TableAddress) {
    this.#talk = talk;
    this.#start = start;
  }

  get isSpent(): boolean {
    return this.requests >= maxRequests;
  }

  /** The shortest pause with which every answer comes. Rejects when it never answers. */
  async pause(): Promise<number> {
    let last: unknown;
    for (const pauseMs of pauses) {
      this.#pauseMs = pauseMs;
      try {
        for (let index = 0; index < tries; index++) await this.#takes(this.#start.address, 1);
        return pauseMs;
      } catch (error) {
        if (!(error instanceof ModbusError) || error.kind !== 'timeout') throw error;
        last = error;
      }
    }
    throw last;
  }

  /** Blocks that can be read, and those that cannot, from the lowest address on. */
  async *survey([from, to]: Block): AsyncGenerator<readonly [Block, boolean]> {
    const piece = 8;
    for (let at = from; at <= to && !this.isSpent; at += piece) {
      yield* this.#divide([at, Math.min(at + piece - 1, to)]);
    }
  }

  async *#divide([from, to]: Block): AsyncGenerator<readonly [Block, boolean]> {
    if (this.isSpent) return;
    if (await this.#takes(from, to - from + 1)) {
      yield [[from, to], true];
    } else if (from === to) {
      yield [[from, to], false];
    } else {
      const middle = Math.floor((from + to) / 2);
      yield* this.#divide([from, middle]);
      yield* this.#divide([middle + 1, to]);
    }
  }

  /** The most registers that one request may ask for, seen in the longest block without a hole. */
  async longestRead(blocks: readonly Block[]): Promise<{ count: number; isLimit: boolean }> {
    const lengthOf = ([from, to]: Block) => to - from + 1;
    const block = blocks.reduce<Block>((a, b) => (lengthOf(b) > lengthOf(a) ? b : a), [0, -1]);
    let good = 0;
    let bad = Math.min(lengthOf(block), protocolLimits.registers) + 1;
    const most = bad - 1;
    if (most > 0 && !this.isSpent && (await this.#takes(block[0], most))) good = most;
    while (good + 1 < bad && good !== most && !this.isSpent) {
      const middle = Math.floor((good + bad) / 2);
      if (await this.#takes(block[0], middle)) good = middle;
      else bad = middle;
    }
    return { count: good, isLimit: good < most };
  }

  /** Whether the device answers with data. Some do not answer at all to what they do not like. */
  async #takes(address: number, count: number): Promise<boolean> {
    this.requests += 1;
    const request = readRequest(this.#start.table, address, count);
    const ask = () => this.#talk.ask(request, this.#pauseMs);
    if (this.requests <= tries * pauses.length && count === 1 && address === this.#start.address) {
      await ask();
      return true;
    }
    try {
      return exceptionOf(await ask()) === undefined;
    } catch (error) {
      const isSilence =
        error instanceof ModbusError && (error.kind === 'timeout' || error.kind === 'bad-response');
      if (!isSilence) throw error;
      return false;
    }
  }
}

function joined(pieces: readonly (readonly [Block, boolean])[], readable: boolean): Block[] {
  const blocks: Block[] = [];
  for (const [[from, to], can] of pieces) {
    const last = blocks.at(-1);
    if (can !== readable) continue;
    if (last !== undefined && last[1] + 1 === from) blocks[blocks.length - 1] = [last[0], to];
    else blocks.push([from, to]);
  }
  return blocks;
}

/** Lines of a profile. */
function fragment(
  pauseMs: number,
  longest: { readonly count: number; readonly isLimit: boolean },
  holes: readonly Block[],
): readonly string[] {
  return [
    ...(pauseMs > 0 ? ['link:', `  interRequestMs: ${pauseMs}`] : []),
    ...(longest.isLimit
      ? ['limits:', `  maxRegisters: ${longest.count}`]
      : [`# one request may read at least ${longest.count} registers`]),
    ...(holes.length === 0 ? ['# no holes'] : ['holes:']),
    ...holes.map(([from, to]) => `  - [${from}, ${to}]`),
  ];
}
