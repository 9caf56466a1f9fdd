/** A figure over the rounds of a run. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export type Target = { readonly atLeast: number } | { readonly atMost: number };

/** One line of a benchmark. */
export interface BenchResult {
  readonly name: string;
  /** Undefined when it could not be measured; `note` says why. */
  readonly value?: Spread;
  readonly unit: string;
  /** What it should reach, where design.md §10 names a figure. */
  readonly target?: Target;
  /** CPU that others used meanwhile, in cores. */
  readonly foreign?: Spread;
  /** For a person: what limits it, or what is missing. */
  readonly note?: string;
}

/** One file of this folder. */
export interface Bench {
  readonly name: string;
  readonly description: string;
  run(): Promise<readonly BenchResult[]>;
}

/** Median, smallest and largest of what the rounds gave. At least one value. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
  return { median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** Round by round one divided by the other, so that a slow minute of the machine cancels out. */
export function ratioOf(of: readonly number[], by: readonly number[]): Spread {
  return spreadOf(of.map((value, round) => value / (by[round] ?? Number.NaN)));
}

/** Whether a figure reaches its target; undefined where there is none. */
export function reaches({ value, target }: BenchResult): boolean | undefined {
  if (value === undefined || target === undefined) return undefined;
  return 'atLeast' in target ? value.median >= target.atLeast : value.median <= target.atMost;
}

/** The value below which a share of the samples lies. The samples are sorted in place. */
export function percentile(samples: Float64Array, share: number): number {
  samples.sort();
  return samples[Math.min(samples.length - 1, Math.floor(samples.length * share))] ?? Number.NaN;
}
