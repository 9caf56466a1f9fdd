import { hashedUnit } from '../prng.ts';

const dayMs = 86_400_000;
const swellMs = 420_000;
const rippleMs = 5_000;

/**
 * How a measured quantity wanders: a number in [-1, 1] that depends on nothing but seed and time
 * (milliseconds since 1970). A slow daily swing, a swell of minutes, and an uneven ripple of
 * seconds, whose weights add up to one so that the result cannot leave the interval.
 */
export function wave(seed: number, time: number): number {
  const phase = hashedUnit(seed, -1);
  const day = Math.sin(2 * Math.PI * (time / dayMs + phase));
  const swell = Math.sin(2 * Math.PI * (time / swellMs + 7 * phase));
  return 0.5 * day + 0.3 * swell + 0.2 * ripple(seed, time);
}

function ripple(seed: number, time: number): number {
  const step = Math.floor(time / rippleMs);
  const share = time / rippleMs - step;
  const from = hashedUnit(seed, step | 0);
  const to = hashedUnit(seed, (step + 1) | 0);
  const eased = share * share * (3 - 2 * share);
  return 2 * (from + (to - from) * eased) - 1;
}
