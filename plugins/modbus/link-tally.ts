import type { DriverHost } from '#driver';
import type { LinkCounts } from './link.ts';

/** Telling each read would crowd out the log: the gateway takes so many notes of a plugin a second. */
const tellEveryMs = 10_000;

/** Share of late answers above which the timeout is too short for the device. */
const tellingShare = 0.01;

/** Once an hour is enough for what only a person can change. */
const adviseEveryMs = 3_600_000;

/** Adds up what happened on a link and tells the host the increase from time to time. */
export class LinkTally {
  readonly #host: DriverHost;
  readonly #exceptions = new Map<number, number>();
  #toldAt = Number.NEGATIVE_INFINITY;
  #advisedAt = Number.NEGATIVE_INFINITY;
  #requests = 0;
  #late = 0;

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
    this.#advise(counts, now);
    for (const { unit, p50, p99 } of counts.times.takeFresh()) {
      this.#host.metric('answer_p50_ms', Math.round(p50), { unit: String(unit) });
      this.#host.metric('answer_p99_ms', Math.round(p99), { unit: String(unit) });
    }
    this.#add('foreign_total', counts.foreign);
    this.#add('bad_frames_total', counts.badFrames);
    this.#add('reconnects_total', counts.reconnects);
    for (const [code, times] of this.#exceptions) {
      this.#host.metric('exceptions_total', times, { code: String(code) });
    }
    this.#exceptions.clear();
  }

  /** One warning, with the time that would have been enough. */
  #advise(counts: LinkCounts, now: number): void {
    this.#requests += counts.requests;
    this.#late += counts.late;
    if (this.#late <= this.#requests * tellingShare) return;
    if (now - this.#advisedAt < adviseEveryMs) return;
    const p99 = Math.ceil(counts.times.slowestP99());
    this.#host.log.warn(
      { late: this.#late, requests: this.#requests, p99Ms: p99 },
      `the timeout is too short: 99 of 100 answers come within ${p99} ms; set timeoutMs of the link or device above that`,
    );
    this.#advisedAt = now;
    this.#requests = 0;
    this.#late = 0;
  }

  #add(name: string, increase: number): void {
    if (increase > 0) this.#host.metric(name, increase);
  }
}
