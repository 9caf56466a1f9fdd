import {
  type Bands,
  countersValidUntil,
  hoursInService,
  lanes,
  roundTo,
  type Values,
} from './band.ts';
import type { Field } from './field.ts';
import { type Interval, middle, type Slots, slotOf, within } from './interval.ts';
import { wave } from './wave.ts';

/** Register map of the simulated energy meter; the same as profile riser.sim-meter. */
export const meterFields: readonly Field[] = [
  { point: 'ac.l1.voltage', table: 'input', address: 0, type: 'float32' },
  { point: 'ac.l2.voltage', table: 'input', address: 2, type: 'float32' },
  { point: 'ac.l3.voltage', table: 'input', address: 4, type: 'float32' },
  { point: 'ac.l1.current', table: 'input', address: 6, type: 'float32' },
  { point: 'ac.l2.current', table: 'input', address: 8, type: 'float32' },
  { point: 'ac.l3.current', table: 'input', address: 10, type: 'float32' },
  { point: 'ac.total.power.active', table: 'input', address: 12, type: 'int32', scale: 0.1 },
  { point: 'ac.frequency', table: 'input', address: 14, type: 'uint16', scale: 0.01 },
  { point: 'ac.total.pf', table: 'input', address: 15, type: 'int16', scale: 0.001 },
  { point: 'energy.active.import', table: 'input', address: 16, type: 'uint64' },
  { point: 'state', table: 'input', address: 20, type: 'uint16' },
  { point: 'info.serial', table: 'input', address: 24, type: 'string', length: 8 },
];

/** Each meter counts from its own multiple of this, more than ten years of the largest load. */
const energyPerSeed = 10_000_000_000;
const phases = [1, 2, 3] as const;

const voltage = { first: 207, step: 0.48, width: 0.4 };
const current = { first: 3, step: 1.5, width: 1.2 };
const powerFactor = { first: 0.7, step: 0.009, width: 0.006 };

/** What a meter with this seed says at this time (milliseconds since 1970), as final values. */
export function meterValues(seed: number, time: number): Values {
  const pf = roundTo(within(pfInterval(seed), wave(seed * 16 + 7, time)), 3);
  const values: Record<string, number | string> = {};
  let power = 0;
  for (const phase of phases) {
    const volts = roundTo(
      within(phaseInterval(voltage, seed, phase), wave(seed * 16 + phase, time)),
      2,
    );
    const amperes = roundTo(
      within(phaseInterval(current, seed, phase), wave(seed * 16 + 3 + phase, time)),
      3,
    );
    values[`ac.l${phase}.voltage`] = volts;
    values[`ac.l${phase}.current`] = amperes;
    power += volts * amperes * pf;
  }
  values['ac.total.power.active'] = roundTo(power, 1);
  // Seed 0 for all: every meter of a building sees the same grid.
  values['ac.frequency'] = roundTo(50 + 0.1 * wave(0, time), 2);
  values['ac.total.pf'] = pf;
  values['energy.active.import'] = energy(seed, time);
  values.state = 1;
  values['info.serial'] = meterSerial(seed);
  return values;
}

/** The intervals that the values of this meter never leave. */
export function meterBands(seed: number): Bands {
  const pf = pfInterval(seed);
  const bands: Record<string, Bands[string]> = {};
  const power = { min: 0, max: 0 };
  for (const phase of phases) {
    const volts = phaseInterval(voltage, seed, phase);
    const amperes = phaseInterval(current, seed, phase);
    bands[`ac.l${phase}.voltage`] = { kind: 'interval', ...volts, distinct: true };
    bands[`ac.l${phase}.current`] = { kind: 'interval', ...amperes, distinct: true };
    power.min += volts.min * amperes.min * pf.min;
    power.max += volts.max * amperes.max * pf.max;
  }
  bands['ac.total.power.active'] = {
    kind: 'interval',
    min: roundTo(power.min - 0.1, 1),
    max: roundTo(power.max + 0.1, 1),
    distinct: true,
  };
  bands['ac.frequency'] = { kind: 'interval', min: 49.9, max: 50.1, distinct: false };
  bands['ac.total.pf'] = { kind: 'interval', ...pf, distinct: true };
  bands['energy.active.import'] = {
    kind: 'interval',
    min: energy(seed, 0),
    max: energy(seed, countersValidUntil),
    distinct: true,
  };
  bands.state = { kind: 'one-of', values: [1] };
  bands['info.serial'] = { kind: 'one-of', values: [meterSerial(seed)] };
  return bands;
}

function meterSerial(seed: number): string {
  return `SIM-METER-${String(seed).padStart(4, '0')}`;
}

/** Watt-hours at the mean load of the meter, so that the counter agrees with the power it shows. */
function energy(seed: number, time: number): number {
  const pf = pfInterval(seed);
  let watts = 0;
  for (const phase of phases) {
    watts +=
      middle(phaseInterval(voltage, seed, phase)) * middle(phaseInterval(current, seed, phase));
  }
  return seed * energyPerSeed + Math.floor(watts * middle(pf) * hoursInService(time));
}

function pfInterval(seed: number): Interval {
  return slotOf(powerFactor, seed % lanes);
}

function phaseInterval(range: Slots, seed: number, phase: number): Interval {
  return slotOf(range, (seed % lanes) * phases.length + phase - 1);
}
