const windowSeconds = 10;
/** Samples of lateness kept for a second; beyond them every further one is left out. */
const samplesPerSecond = 500;

interface Second {
  second: number;
  busyMs: number;
  lateness: number[];
}

/** Load and lateness of a link over the last ten seconds. Times are monotonic milliseconds. */
export class LinkStats {
  readonly #seconds: Second[] = [];
  #busySince: number | undefined;

  /** The link begins or ceases to be at work. */
  busy(busy: boolean, now: number): void {
    this.#settle(now);
    this.#busySince = busy ? now : undefined;
  }

  /** A poll began this long after it was due. */
  late(ms: number, now: number): void {
    const { lateness } = this.#at(now);
    if (lateness.length < samplesPerSecond) lateness.push(ms);
  }

  /** Share of the last ten seconds in which the link was at work, 0 to 1. */
  load(now: number): number {
    this.#settle(now);
    const sum = this.#recent(now).reduce((total, { busyMs }) => total + busyMs, 0);
    return Math.min(1, sum / (windowSeconds * 1_000));
  }

  /** 95th percentile over the last ten seconds. */
  latenessP95(now: number): number {
    const all = this.#recent(now).flatMap(({ lateness }) => lateness);
    all.sort((a, b) => a - b);
    return all[Math.floor(all.length * 0.95)] ?? 0;
  }

  /** Books the time since the link began to be at work, second by second. */
  #settle(now: number): void {
    if (this.#busySince === undefined) return;
    let from = Math.max(this.#busySince, now - windowSeconds * 1_000);
    while (from < now) {
      const until = Math.min(now, (Math.floor(from / 1_000) + 1) * 1_000);
      this.#at(from).busyMs += until - from;
      from = until;
    }
    this.#busySince = now;
  }

  #at(now: number): Second {
    const second = Math.floor(now / 1_000);
    const slot = second % (windowSeconds + 1);
    const kept = this.#seconds[slot];
    if (kept?.second === second) return kept;
    const fresh = { second, busyMs: 0, lateness: [] };
    this.#seconds[slot] = fresh;
    return fresh;
  }

  #recent(now: number): readonly Second[] {
    const oldest = Math.floor(now / 1_000) - windowSeconds;
    return this.#seconds.filter((kept) => kept !== undefined && kept.second > oldest);
  }
}
