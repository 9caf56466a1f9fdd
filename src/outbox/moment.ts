import type { Clock } from '../model/clock.ts';
import type { Moment } from './worker-messages.ts';

/** Reads a clock once. */
export function momentOf(clock: Clock): Moment {
  return {
    bootId: clock.bootId,
    monotonic: clock.monotonic(),
    wall: clock.wall(),
    synced: clock.synced(),
  };
}
