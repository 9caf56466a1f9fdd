import { type Bands, bandsOf, fitsBand } from '../../../plugins/simulator/bands.ts';
import { demoDevices } from './demo-site.ts';

/** What arrived, judged by what the simulated devices can have said. */
export interface DemoVerdict {
  readonly good: number;
  readonly uncertain: number;
  readonly bad: number;
  /** Good readings that no such device can have given. */
  readonly wrong: number;
  /** The first of them, for a person. */
  readonly firstWrong?: string;
}

type Row = readonly [number, number, unknown, string?];

/**
 * Looks at every reading that the receiver got. A reading that says it is good has to lie in the
 * band of its device and point; the bands of two devices have no value in common, and what faulty
 * answers carry lies outside of all.
 */
export class DemoJudge {
  readonly #bands = new Map<string, Bands>(
    demoDevices.map(({ id, model, seed }) => [id, bandsOf(model, seed)]),
  );
  #good = 0;
  #uncertain = 0;
  #bad = 0;
  #wrong = 0;
  #firstWrong: string | undefined;

  /** Takes the `data` of one riser.readings.v1 event. */
  take(data: unknown): void {
    const { points, r } = data as { points: readonly string[]; r: readonly Row[] };
    for (const [index, , value, reason] of r) this.#judge(points[index] ?? '', value, reason);
  }

  verdict(): DemoVerdict {
    return {
      good: this.#good,
      uncertain: this.#uncertain,
      bad: this.#bad,
      wrong: this.#wrong,
      ...(this.#firstWrong === undefined ? {} : { firstWrong: this.#firstWrong }),
    };
  }

  #judge(point: string, value: unknown, reason: string | undefined): void {
    if (reason !== undefined) {
      if (value === null) this.#bad += 1;
      else this.#uncertain += 1;
      return;
    }
    this.#good += 1;
    if (this.#believable(point, value)) return;
    this.#wrong += 1;
    this.#firstWrong ??= `${point} = ${JSON.stringify(value)}`;
  }

  #believable(point: string, value: unknown): boolean {
    const slash = point.indexOf('/');
    const band = this.#bands.get(point.slice(0, slash))?.[point.slice(slash + 1)];
    if (band === undefined) return false;
    if (typeof value !== 'number' && typeof value !== 'string' && typeof value !== 'boolean')
      return false;
    // The profile has given a name to the state number; an unknown number would be uncertain.
    const isNamedState =
      band.kind === 'one-of' && typeof value === 'string' && typeof band.values[0] === 'number';
    return isNamedState || fitsBand(band, value);
  }
}
