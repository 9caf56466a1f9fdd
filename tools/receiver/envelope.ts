/** What the receiver reads of an event's envelope (docs/reference/wire.md). */
export interface Envelope {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time: string;
  readonly dataschema: string;
  readonly tenantid: string;
  readonly sequence: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly [attribute: string]: unknown;
}

/** A stream: what the events of one `source` belong to. */
export interface StreamName {
  readonly tenant: string;
  readonly gateway: string;
  readonly lane: string;
}

/** Where an event stands in its stream. */
export interface Placed {
  readonly stream: StreamName;
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
  readonly envelope: Envelope;
  /** The event as it came. */
  readonly text: string;
}

const stateTopicPattern =
  /^riser\/1\/(?<tenant>[a-z0-9][a-z0-9-]{0,62})\/(?<gateway>[a-z0-9][a-z0-9-]{0,62})\/state$/;
const topicPattern = /^riser\/1\/(?<tenant>[^/]+)\/(?<gateway>[^/]+)\/(?<lane>alarm|live|bulk)$/;
const idPattern = /^(?<epoch>[A-Za-z0-9_-]{1,64})\.(?<sequence>\d{1,16})$/;
const epochPattern = /^[A-Za-z0-9_-]{1,64}$/;
const lanes = ['alarm', 'live', 'bulk'] as const;
const largestBatch = 1_000_000;
const largestState = 64 * 1024;
const mostEarlier = 64;

/** What a gateway's state says of a stream. */
export interface Held {
  readonly stream: StreamName;
  readonly epoch: string;
  /** Lowest sequence that the gateway's log still holds; what lies below never comes from there. */
  readonly oldest: number;
}

/**
 * Older epochs before newer ones. Checks a state message against its topic; nothing for the will, which knows of no stream. Throws
 * an Error that says what is wrong, and then nothing of it is to be believed.
 */
export function readState(topic: string, payload: Uint8Array | string): readonly Held[] {
  const names = stateTopicPattern.exec(topic)?.groups;
  if (names === undefined) throw new Error(`${topic} is no topic of a state`);
  const { tenant = '', gateway = '' } = names;
  // An empty payload is how a retained message is deleted.
  if (payload.length === 0) return [];
  if (payload.length > largestState) throw new Error('the state is larger than 64 KiB');
  const parsed: unknown = JSON.parse(
    typeof payload === 'string' ? payload : Buffer.from(payload).toString('utf8'),
  );
  const streams = isObject(parsed) ? (parsed.streams ?? {}) : undefined;
  if (!isObject(streams)) throw new Error('the state is no object with streams');
  const held: Held[] = [];
  for (const lane of lanes) {
    const said = Object.hasOwn(streams, lane) ? streams[lane] : undefined;
    if (said === undefined) continue;
    if (!isObject(said)) throw new Error(`${lane} is no object`);
    const { earlier = [] } = said;
    if (!Array.isArray(earlier) || earlier.length > mostEarlier) {
      throw new Error(`the earlier epochs of ${lane} are no list`);
    }
    const stream = { tenant, gateway, lane };
    for (const each of [...earlier, said]) held.push({ stream, ...readHeld(lane, each) });
  }
  return held;
}

function readHeld(lane: string, said: unknown): Omit<Held, 'stream'> {
  const { epoch, next, oldest } = isObject(said) ? said : {};
  if (typeof epoch !== 'string' || !epochPattern.test(epoch)) {
    throw new Error(`${lane} has no valid epoch`);
  }
  if (!isSequence(next) || !isSequence(oldest) || oldest > next) {
    throw new Error(`next and oldest of ${lane} do not fit together`);
  }
  return { epoch, oldest };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSequence(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1;
}

/** Checks an event against its topic. Throws an Error that says what is wrong. */
export function readEvent(topic: string, payload: Uint8Array | string): Placed {
  const names = topicPattern.exec(topic)?.groups;
  if (names === undefined) throw new Error(`${topic} is no topic of events`);
  const { tenant = '', gateway = '', lane = '' } = names;
  const text = typeof payload === 'string' ? payload : Buffer.from(payload).toString('utf8');
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null) throw new Error('the event is no object');
  const envelope = parsed as Envelope;
  const { specversion, id, source, type, tenantid, sequence, data } = envelope;
  if (specversion !== '1.0') throw new Error('specversion is not 1.0');
  if (source !== `//${gateway}/${tenant}/${lane}`) throw new Error('source is not of this topic');
  if (tenantid !== tenant) throw new Error('tenantid is not of this topic');
  if (typeof type !== 'string' || !type.startsWith('riser.')) throw new Error('type is unknown');
  if (typeof data !== 'object' || data === null) throw new Error('data is no object');
  const [epoch, number] = typeof id === 'string' ? (idPattern.exec(id)?.slice(1) ?? []) : [];
  const first = Number(number);
  if (
    epoch === undefined ||
    Number(sequence) !== first ||
    !Number.isSafeInteger(first) ||
    first < 1
  ) {
    throw new Error('id and sequence do not fit together');
  }
  const n = type === 'riser.readings.v1' || type === 'riser.gap.v1' ? data.n : 1;
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 1 || n > largestBatch) {
    // A gap may be larger than any batch: it stands for many.
    if (type !== 'riser.gap.v1' || !Number.isSafeInteger(n) || (n as number) < 1) {
      throw new Error('data.n is no count');
    }
  }
  const last = first + Number(n) - 1;
  return { stream: { tenant, gateway, lane }, epoch, first, last, envelope, text };
}
