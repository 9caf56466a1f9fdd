import type { Clock } from '../model/clock.ts';
import type { Lane } from '../model/lane.ts';
import type { Stream } from '../model/outbox.ts';

/** What is published by the broker when the connection breaks without a goodbye. */
export const willPayload = '{"state":"offline"}';

export interface EarlierEpoch {
  readonly epoch: string;
  readonly next: number;
  readonly oldest: number;
}

/** Older epochs that are told of, the newest of them; each is a file that was lost or restored. */
const maxEarlier = 16;

/** Birth and death of a tenant's connection, docs/reference/wire.md. */
export interface StateData {
  readonly state: 'online' | 'offline';
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly boot: string;
  readonly version: string;
  readonly streams: Readonly<
    Partial<
      Record<
        Lane,
        {
          readonly epoch: string;
          readonly next: number;
          readonly acked: number;
          readonly oldest: number;
          /** Older epochs of which the log still holds something, the oldest first. */
          readonly earlier?: readonly EarlierEpoch[];
        }
      >
    >
  >;
}

/** The retained payload of the state topic: what the cloud can expect from which stream. */
export function statePayload(
  state: StateData['state'],
  version: string,
  clock: Pick<Clock, 'wall' | 'bootId'>,
  streams: readonly Stream[],
  acked: (sid: number) => number,
): string {
  const data: StateData = {
    state,
    since: clock.wall(),
    boot: clock.bootId,
    version,
    streams: Object.fromEntries(
      streams
        .filter((stream) => !stream.closed)
        .map(({ lane, epoch, next, oldest, sid }) => {
          const earlier = earlierOf(lane, streams);
          const about = { epoch, next, acked: acked(sid), oldest };
          return [lane, earlier.length === 0 ? about : { ...about, earlier }];
        }),
    ),
  };
  return JSON.stringify(data);
}

function earlierOf(lane: Lane, streams: readonly Stream[]): readonly EarlierEpoch[] {
  return streams
    .filter((stream) => stream.lane === lane && stream.closed && stream.oldest < stream.next)
    .slice(-maxEarlier)
    .map(({ epoch, next, oldest }) => ({ epoch, next, oldest }));
}
