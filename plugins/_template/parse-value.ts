import type { DriverError } from '#driver';

/** An answer as a value, or why there is none: what the device says is never guessed at. */
export function parseValue(line: string): number | DriverError {
  if (line === 'ERR unknown') return { kind: 'refused', message: 'the device has no such value' };
  if (line === '-') return { kind: 'not-available', message: 'the device has no value at present' };
  if (/^[+-]?(nan|inf)$/i.test(line)) {
    return { kind: 'not-a-number', message: `the device answered ${line}` };
  }
  if (/^-?\d{1,15}(\.\d{1,15})?$/.test(line)) return Number(line);
  const told = JSON.stringify(line.slice(0, 40));
  return { kind: 'bad-response', message: `the device answered ${told}, which is no number` };
}
