// Enough for a percentile that one outlier does not decide.
const samplesPerUnit = 256;
/** A metric has a hundred series at most, and a plugin more than this one. */
const mostUnits = 32;

/** How long the units of a link took for their last answers, milliseconds; late ones included. */
export class AnswerTimes {
  readonly #samples = new Map<number, Float64Array>();
  readonly #counts = new Map<number, number>();
  readonly #fresh = new Set<number>();

  add(unit: number, ms: number): void {
    let samples = this.#samples.get(unit);
    if (samples === undefined) {
      if (this.#samples.size >= mostUnits) return;
      samples = new Float64Array(samplesPerUnit);
      this.#samples.set(unit, samples);
    }
    const count = this.#counts.get(unit) ?? 0;
    samples[count % samplesPerUnit] = ms;
    this.#counts.set(unit, count + 1);
    this.#fresh.add(unit);
  }

  /** Median and 99th percentile of each unit that answered since the last call. */
  takeFresh(): ReadonlyArray<{
    readonly unit: number;
    readonly p50: number;
    readonly p99: number;
  }> {
    const units = [...this.#fresh];
    this.#fresh.clear();
    return units.map((unit) => ({
      unit,
      p50: percentile(this.#of(unit), 0.5),
      p99: percentile(this.#of(unit), 0.99),
    }));
  }

  /** The 99th percentile of the slowest unit; 0 if nothing was answered yet. */
  slowestP99(): number {
    return Math.max(
      0,
      ...[...this.#samples.keys()].map((unit) => percentile(this.#of(unit), 0.99)),
    );
  }

  #of(unit: number): Float64Array {
    const samples = this.#samples.get(unit) ?? new Float64Array(0);
    return samples.slice(0, Math.min(this.#counts.get(unit) ?? 0, samplesPerUnit)).sort();
  }
}

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
