import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { type BenchResult, type Spread, spreadOf, type Target } from './bench-result.ts';
import { machineCpuSeconds, ownCpuSeconds } from './process-tree.ts';

/** Rounds of each contestant. */
const rounds = Number(process.env.RISER_BENCH_ROUNDS ?? 3);
/** How long to wait for a quiet machine before each measurement. */
const quietLimitMs = Number(process.env.RISER_BENCH_QUIET_MS ?? 10_000);
/** CPU of others, in cores, up to which a machine counts as quiet. */
const quietCores = 0.25;

/** What one contestant measured in one round; `foreign` is added by watched(). */
export type Figures = Readonly<Record<string, number>>;

/** What all rounds of one contestant gave. */
export class Contest {
  readonly #figures: readonly Figures[];

  constructor(figures: readonly Figures[]) {
    this.#figures = figures;
  }

  /** One figure, round by round. */
  rounds(name: string): readonly number[] {
    return this.#figures.map((figures) => figures[name] ?? Number.NaN);
  }

  /** The line of one figure. */
  line(
    label: string,
    figure: string,
    unit: string,
    extra: { readonly target?: Target; readonly note?: string } = {},
  ): BenchResult {
    return {
      name: label,
      value: spreadOf(this.rounds(figure)),
      unit,
      foreign: this.foreign,
      ...extra,
    };
  }

  get foreign(): Spread {
    return spreadOf(this.rounds('foreign'));
  }
}

/** Contestants by name; one whose peer is missing is left out. */
type Contestants = Readonly<Record<string, (() => Promise<Figures>) | undefined>>;

/** Runs contestants in turn, round by round, each on a machine as quiet as it gets. */
export async function interleaved<C extends Contestants>(
  contestants: C,
): Promise<{ readonly [Name in keyof C]: Contest }> {
  const runs = Object.entries<(() => Promise<Figures>) | undefined>(contestants).flatMap(
    ([name, run]) => (run === undefined ? [] : [{ name, run, figures: [] as Figures[] }]),
  );
  for (let round = 0; round < rounds; round += 1) {
    for (const { run, figures } of round % 2 === 0 ? runs : runs.toReversed()) {
      await quiet();
      figures.push(await run());
    }
  }
  const contests = runs.map(({ name, figures }) => [name, new Contest(figures)] as const);
  return Object.fromEntries(contests) as { readonly [Name in keyof C]: Contest };
}

/** Runs a measurement and adds the CPU that others used meanwhile, in cores. */
export async function watched(measure: () => Promise<Figures>): Promise<Figures> {
  const begun = performance.now();
  const machine = machineCpuSeconds();
  const own = ownCpuSeconds();
  const figures = await measure();
  const busy = machineCpuSeconds() - machine - (ownCpuSeconds() - own);
  return { ...figures, foreign: Math.max(0, (busy * 1_000) / (performance.now() - begun)) };
}

/** Resolves when others leave the machine alone, or the limit is reached. */
async function quiet(): Promise<void> {
  const end = performance.now() + quietLimitMs;
  while (performance.now() < end) {
    const { foreign = 0 } = await watched(() => delay(400, {}));
    if (foreign < quietCores) return;
  }
}
