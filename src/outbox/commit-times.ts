const kept = 1000;

/** How long the last commits took. */
export class CommitTimes {
  readonly #ms = new Float64Array(kept);
  #count = 0;
  #sorted: Float64Array | undefined;

  add(ms: number): void {
    this.#ms[this.#count % kept] = ms;
    this.#count += 1;
    this.#sorted = undefined;
  }

  /** Commits since the start. */
  get count(): number {
    return this.#count;
  }

  /** Milliseconds that this share of the last 1000 commits did not exceed; 0 before the first. */
  quantile(share: number): number {
    this.#sorted ??= this.#ms.slice(0, Math.min(this.#count, kept)).sort();
    const index = Math.min(this.#sorted.length - 1, Math.floor(this.#sorted.length * share));
    return this.#sorted[index] ?? 0;
  }
}
