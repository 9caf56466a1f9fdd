import type { ActionOutput } from '#driver';
import { holdsBits, type TableAddress } from '../address.ts';
import { ModbusError } from '../modbus-error.ts';
import { exceptionOf, exceptionReason, readRequest } from '../pdu.ts';
import { type ActionScene, Conversation, type TargetArguments } from './conversation.ts';
import { readingsOf } from './readings-of-words.ts';
import { manualNumber, registerSpec, tableText } from './register-spec.ts';

export interface ReadArguments extends TargetArguments {
  readonly register: string;
}

/** Registers that the longest number takes. */
const wordsOfLongest = 4;

/**
 * Shows registers as every type in every order, and those one before and after: most wrong values
 * are off by one, or have their words the other way round.
 */
export async function* read(
  scene: ActionScene,
  args: ReadArguments,
  signal: AbortSignal,
): AsyncGenerator<ActionOutput> {
  const at = registerSpec(args.register);
  await using talk = Conversation.to(scene, args, signal);
  yield { kind: 'plan', text: `registers at ${args.register} of ${talk.where}`, seconds: 3 };
  await talk.open();
  const manual = manualNumber(at);
  const what = `${talk.where}, ${tableText(at.table)}, address ${at.address} (${manual} in manuals that count from 1)`;
  if (holdsBits(at.table)) {
    const bits = await readSome(talk, at, [8, 1]);
    yield note(`${what}, raw ${hexWords(bits)}`);
    for (let index = 0; index < 8; index++) {
      if (index > 0 && bits.length === 0) break;
      const value = ((bits[0] ?? 0) >> index) & 1;
      yield row(at.address + index, 'bit', { ABCD: value }, []);
    }
    return;
  }
  const data = await readSome(talk, at, [wordsOfLongest + 1, wordsOfLongest, 2, 1]);
  yield note(`${what}, raw ${hexWords(data.subarray(0, 2 * wordsOfLongest))}`);
  const before = at.address === 0 ? undefined : await oneBefore(talk, at);
  if (before !== undefined) yield* rowsOf(at.address - 1, Buffer.concat([before, data]));
  else if (at.address > 0) yield note(`address ${at.address - 1} cannot be read`);
  yield* rowsOf(at.address, data);
  if (data.length > 2) yield* rowsOf(at.address + 1, data.subarray(2));
}

function* rowsOf(address: number, data: Buffer): Iterable<ActionOutput> {
  for (const { type, values, plausible } of readingsOf(data)) {
    yield row(address, type, values, plausible);
  }
}

function row(
  address: number,
  type: string,
  values: Readonly<Record<string, number | string>>,
  plausible: readonly string[],
): ActionOutput {
  return { kind: 'row', row: { address, type, ...values, plausible: plausible.join(' ') } };
}

/** The longest piece that the device gives, of these lengths. Rejects with a ModbusError. */
async function readSome(
  talk: Conversation,
  { table, address }: TableAddress,
  counts: readonly number[],
): Promise<Buffer> {
  let refusal = 0;
  for (const count of counts) {
    if (address + count > 0x1_0000) continue;
    const answer = await talk.ask(readRequest(table, address, count));
    const exception = exceptionOf(answer);
    if (exception === undefined) return answer.subarray(2);
    refusal = exception;
  }
  const { reason, text } = exceptionReason(refusal);
  throw new ModbusError(
    reason,
    `${talk.where}: ${text} (address ${address} in ${tableText(table)}, exception ${refusal})`,
  );
}

async function oneBefore(talk: Conversation, at: TableAddress): Promise<Buffer | undefined> {
  const answer = await talk.ask(readRequest(at.table, at.address - 1, 1));
  return exceptionOf(answer) === undefined ? answer.subarray(2) : undefined;
}

function hexWords(data: Buffer): string {
  const words = data.toString('hex').match(/.{1,4}/g) ?? [];
  return words.map((word) => `0x${word}`).join(' ');
}

const note = (text: string): ActionOutput => ({ kind: 'note', level: 'info', text });
