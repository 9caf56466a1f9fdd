/**
 * What the simulated devices can say, for whoever checks what a gateway made of it: values are
 * functions of seed and time, and stay inside bands that depend on the seed alone. Values are
 * final: after word order, scale and rounding, before names are given to states.
 */
import { type Band, type Bands, highestSeed, type Values } from './models/band.ts';
import { meterBands, meterValues } from './models/meter.ts';
import { pumpBands, pumpValues } from './models/pump.ts';

export type { Band, Bands, Values } from './models/band.ts';
export { countersValidUntil, highestSeed, inServiceSince, lanes } from './models/band.ts';
export { poisonWord } from './models/poison.ts';

/** Models whose values move with the time. */
export type LiveModel = 'meter' | 'pump';

/** The bands of one device: point id to what it can ever say. */
export function bandsOf(model: LiveModel, seed: number): Bands {
  checkSeed(seed);
  return model === 'meter' ? meterBands(seed) : pumpBands(seed);
}

/** What a device says at a time (milliseconds since 1970); it renders ten pictures a second. */
export function valuesAt(model: LiveModel, seed: number, time: number): Values {
  checkSeed(seed);
  const picture = Math.floor(time / 100) * 100;
  return model === 'meter' ? meterValues(seed, picture) : pumpValues(seed, picture);
}

/** Whether a value can have come from the device that the band describes; null = not available. */
export function fitsBand(band: Band, value: number | boolean | string | null): boolean {
  switch (band.kind) {
    case 'interval':
      // Scaling by 0.1 or 0.001 may leave the last bit of a double wrong; a millionth is no step.
      return typeof value === 'number' && value >= band.min - 1e-6 && value <= band.max + 1e-6;
    case 'one-of':
      return value !== null && band.values.includes(value);
    case 'not-available':
      return value === null;
  }
}

function checkSeed(seed: number): void {
  if (!Number.isInteger(seed) || seed < 0 || seed > highestSeed) {
    throw new RangeError(`a seed is a whole number from 0 to ${highestSeed}, not ${seed}`);
  }
}
