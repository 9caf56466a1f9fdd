import type { Clock } from '../model/clock.ts';
import type { Lane } from '../model/lane.ts';
import type { Stream } from '../model/outbox.ts';

/** What is published by the broker when the connection breaks without a goodbye. */
export const willPayload = '{"state":"offline"}';

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
        .map(({ lane, epoch, next, oldest, sid }) => [
          lane,
          { epoch, next, acked: acked(sid), oldest },
        ]),
    ),
  };
  return JSON.stringify(data);
}
