import type { Values } from './band.ts';
import type { Behaviour } from './live-unit.ts';
import { meterFields, meterValues } from './meter.ts';

/** A meter; nothing can be written to it. */
export class MeterBehaviour implements Behaviour {
  readonly productCode = 'SIM-METER';
  readonly fields = meterFields;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  values(time: number): Values {
    return meterValues(this.#seed, time);
  }
}
