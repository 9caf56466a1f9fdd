import type { DriverHost } from '#driver';
import type { LinkCounts } from './link.ts';

/** Telling each read would crowd out the log: the gateway takes so many notes of a plugin a second. */
const tellEveryMs = 10_000;

/** Share of late answers above which the timeout is too short for the device. */
const tellingShare = 0.01;

/** Adds up what happened on a link and tells the host the increase from time to time. */
export class LinkTally {
  readonly #host: DriverHost;
  readonly #exceptions = new Map<number, number>();
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(host: DriverHost) {
    this.#host = host;
  }

  /** The device answered with this exception. */
  exception(code: number): void {
    this.#exceptions.set(code, (this.#exceptions.get(code) ?? 0) + 1);
  }

  /** Tells what has come together, if it is time or this is the last occasion. */
  tell(link: { takeCounts(): LinkCounts }, last = false): void {
    const now = this.#host.monotonic();
    if (!last && now - this.#toldAt < tellEveryMs) return;
    this.#toldAt = now;
    const counts = link.takeCounts();
    this.#add('requests_total', counts.requests);
    this.#add('timeouts_total', counts.timeouts);
    this.#add('late_total', counts.late);
    if (counts.late > counts.requests * tellingShare) {
      this.#host.log.warn(
        { late: counts.late, requests: counts.requests },
        'answers come after their timeout: raise timeoutMs of the link or device',
      );
    }
    this.#add('foreign_total', counts.foreign);
    this.#add('bad_frames_total', counts.badFrames);
    this.#add('reconnects_total', counts.reconnects);
    for (const [code, times] of this.#exceptions) {
      this.#host.metric('exceptions_total', times, { code: String(code) });
    }
    this.#exceptions.clear();
  }

  #add(name: string, increase: number): void {
    if (increase > 0) this.#host.metric(name, increase);
  }
}
