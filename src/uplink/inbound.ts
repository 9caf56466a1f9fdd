import type { Clock } from '../model/clock.ts';
import type { GatewayId, TenantId } from '../model/ids.ts';
import type { Lane } from '../model/lane.ts';
import type { Notes } from '../model/notes.ts';
import { readTopic } from './topics.ts';

/** Largest watermark or refusal that is looked at. */
const controlLimitBytes = 4 * 1024;
const commandLimitBytes = 16 * 1024;
/** Commands answered in a second; beyond it they are counted and left without an answer. */
const commandsPerSecond = 10;
/** A command that comes again, because its ack was lost, is not answered again. */
const rememberedCommands = 256;
const reasonLength = 200;

const epochPattern = /^[A-Za-z0-9_-]{1,64}$/;
const commandIdPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const digitsPattern = /^\d{1,16}$/;

/** What is said to every command in this release. */
export const commandRefusal = 'commands are not enabled in this release';

export interface InboundOptions {
  readonly gateway: GatewayId;
  readonly tenant: TenantId;
  readonly clock: Pick<Clock, 'monotonic' | 'wall'>;
  readonly notes: Pick<Notes, 'commandRefused'>;
  readonly onWatermark: (lane: Lane, epoch: string, sequence: number) => void;
  readonly onNack: (lane: Lane, epoch: string, sequence: number, reason: string) => void;
  /** Publishes the answer to a command. */
  readonly onAnswer: (id: string, payload: string) => void;
}

/**
 * What comes from the cloud. It is hostile until checked: size first, then shape; nothing of it is
 * ever executed.
 */
export class Inbound {
  readonly #options: InboundOptions;
  readonly #answered = new Set<string>();
  #second = Number.NEGATIVE_INFINITY;
  #inSecond = 0;
  #malformed = 0;
  #unanswered = 0;

  constructor(options: InboundOptions) {
    this.#options = options;
  }

  /** Messages of no known topic, too large, or not of the shape that the contract gives. */
  get malformed(): number {
    return this.#malformed;
  }

  /** Commands left without an answer: too many, too large, without an id, or repeated. */
  get unanswered(): number {
    return this.#unanswered;
  }

  take(topic: string, payload: Uint8Array, retained: boolean): void {
    const { gateway, tenant } = this.#options;
    const about = readTopic(gateway, tenant, topic);
    if (about === undefined) this.#malformed += 1;
    else if (about.kind === 'command') this.#command(topic, payload, retained);
    else this.#control(about.kind, about.lane, payload);
  }

  #control(kind: 'ack' | 'nack', lane: Lane, payload: Uint8Array): void {
    const position = readPosition(payload);
    if (position === undefined) {
      this.#malformed += 1;
      return;
    }
    const { onWatermark, onNack } = this.#options;
    if (kind === 'ack') onWatermark(lane, position.epoch, position.sequence);
    else onNack(lane, position.epoch, position.sequence, position.reason);
  }

  #command(topic: string, payload: Uint8Array, retained: boolean): void {
    const { clock, notes, tenant, onAnswer } = this.#options;
    const now = clock.monotonic();
    if (now - this.#second >= 1_000) {
      this.#second = now;
      this.#inSecond = 0;
    }
    this.#inSecond += 1;
    const id = retained ? undefined : readCommandId(payload);
    if (this.#inSecond > commandsPerSecond || id === undefined || this.#answered.has(id)) {
      // A retained command would come again with each connection: it is none.
      this.#unanswered += 1;
      if (this.#inSecond <= commandsPerSecond && (id === undefined || retained)) {
        const reason = retained ? 'a command must not be retained' : 'it has no valid id';
        notes.commandRefused({ tenant, topic: topic.slice(0, 200), reason });
      }
      return;
    }
    this.#remember(id);
    notes.commandRefused({ tenant, topic: topic.slice(0, 200), reason: commandRefusal });
    onAnswer(
      id,
      JSON.stringify({ id, status: 'refused', reason: commandRefusal, time: clock.wall() }),
    );
  }

  #remember(id: string): void {
    this.#answered.add(id);
    if (this.#answered.size <= rememberedCommands) return;
    for (const oldest of this.#answered) {
      this.#answered.delete(oldest);
      break;
    }
  }
}

interface Position {
  readonly epoch: string;
  readonly sequence: number;
  readonly reason: string;
}

function readPosition(payload: Uint8Array): Position | undefined {
  const fields = readObject(payload, controlLimitBytes);
  if (fields === undefined) return undefined;
  const { epoch, seq, reason } = fields;
  if (typeof epoch !== 'string' || !epochPattern.test(epoch)) return undefined;
  const sequence = typeof seq === 'string' && digitsPattern.test(seq) ? Number(seq) : seq;
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence < 0) {
    return undefined;
  }
  return {
    epoch,
    sequence,
    // Shown to people and written to the log: one line, no control characters.
    reason:
      typeof reason === 'string'
        ? reason.slice(0, reasonLength).replaceAll(/\p{C}/gu, ' ')
        : 'no reason given',
  };
}

function readCommandId(payload: Uint8Array): string | undefined {
  const id = readObject(payload, commandLimitBytes)?.id;
  return typeof id === 'string' && commandIdPattern.test(id) ? id : undefined;
}

function readObject(
  payload: Uint8Array,
  limitBytes: number,
): Readonly<Record<string, unknown>> | undefined {
  if (payload.length === 0 || payload.length > limitBytes) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
