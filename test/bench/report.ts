import { type BenchResult, reaches, type Spread } from './bench-result.ts';

/** CPU of others, in cores, from which on a line is marked: repeat it on a quiet machine. */
export const noisyCores = 0.5;

/** One line for a person. */
export function lineOf(result: BenchResult): string {
  const { name, value, unit, target, foreign, note } = result;
  const parts = [name.padEnd(46)];
  if (value === undefined) parts.push('not measured');
  else parts.push(`${spread(value).padEnd(30)} ${unit.padEnd(12)}`);
  if (target !== undefined) {
    const limit =
      'atLeast' in target ? `≥ ${number(target.atLeast)}` : `≤ ${number(target.atMost)}`;
    const reached = reaches(result);
    const verdict = reached === undefined ? '' : reached ? ' reached' : ' MISSED';
    parts.push(`target ${limit}${verdict}`);
  }
  if (foreign !== undefined) {
    const noisy = foreign.max > noisyCores ? ' noisy' : '';
    parts.push(`foreign ${foreign.max.toFixed(2)}${noisy}`);
  }
  if (note !== undefined) parts.push(`– ${note}`);
  return parts.join(' ').trimEnd();
}

function spread({ median, min, max }: Spread): string {
  return min === max ? number(median) : `${number(median)} (${number(min)} … ${number(max)})`;
}

function number(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return '–';
  if (size >= 1_000) return Math.round(value).toLocaleString('en-US').replaceAll(',', ' ');
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}
