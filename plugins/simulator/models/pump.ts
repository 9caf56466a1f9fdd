import {
  type Band,
  type Bands,
  countersValidUntil,
  hoursInService,
  lanes,
  roundTo,
  type Values,
} from './band.ts';
import type { Field } from './field.ts';
import { type Interval, slotOf, within } from './interval.ts';
import { wave } from './wave.ts';

/** Register map of the simulated pump; the same as profile riser.sim-pump. */
export const pumpFields: readonly Field[] = [
  { point: 'speed', table: 'holding', address: 0, type: 'uint16' },
  { point: 'flow', table: 'holding', address: 1, type: 'float32', wordOrder: 'low-first' },
  { point: 'pressure', table: 'holding', address: 3, type: 'uint16', scale: 0.01 },
  {
    point: 'temperature',
    table: 'holding',
    address: 4,
    type: 'int16',
    scale: 0.1,
    notAvailable: 0x8000,
  },
  { point: 'operating.hours', table: 'holding', address: 5, type: 'uint32' },
  { point: 'state', table: 'holding', address: 7, type: 'uint16' },
  { point: 'running', table: 'coil', address: 0, type: 'bit' },
  { point: 'fault', table: 'discrete', address: 0, type: 'bit' },
];

/** Numbers of the point `state`. */
export const pumpStates = { stopped: 0, running: 1 } as const;

/** The highest speed that the pump lets itself be set to, in revolutions per minute. */
export const highestSpeed = 3000;

/** What has been written to a pump; a pump that nobody wrote to runs at the speed of its seed. */
export interface PumpOrders {
  readonly running?: boolean;
  /** Revolutions per minute. */
  readonly speed?: number;
}

/** More hours than there are between the first and the last valid day. */
const hoursPerSeed = 100_000;
const faultEveryMs = 600_000;
const faultLastsMs = 20_000;
/** One of eight pumps comes without a temperature sensor. */
const withoutSensor = 7;

const speed = { first: 600, step: 70, width: 50 };
const flow = { first: 5, step: 2.5, width: 2 };
const pressure = { first: 1, step: 0.25, width: 0.2 };
const temperature = { first: 20, step: 2, width: 1.5 };

/** What a pump with this seed says at this time (milliseconds since 1970), as final values. */
export function pumpValues(seed: number, time: number, orders: PumpOrders = {}): Values {
  const lane = seed % lanes;
  // Flow and pressure follow the speed, so that the three move together as in a real pump.
  const load = wave(seed * 16 + 9, time);
  const nominal = Math.round(within(slotOf(speed, lane), load));
  const running = (orders.running ?? true) && (orders.speed ?? nominal) > 0;
  const turns = running ? (orders.speed ?? nominal) : 0;
  const share = turns / nominal;
  return {
    speed: turns,
    // Affinity laws of centrifugal pumps: flow goes with the speed, pressure with its square.
    flow: roundTo(within(slotOf(flow, lane), load) * share, 2),
    pressure: roundTo(within(slotOf(pressure, lane), load) * share * share, 2),
    temperature: hasSensor(seed)
      ? roundTo(within(slotOf(temperature, lane), wave(seed * 16 + 10, time)), 1)
      : null,
    'operating.hours': seed * hoursPerSeed + Math.floor(hoursInService(time)),
    state: running ? pumpStates.running : pumpStates.stopped,
    running,
    fault: (time + seed * 37_000) % faultEveryMs < faultLastsMs,
  };
}

/** The intervals that the values of a pump never leave unless somebody writes to it. */
export function pumpBands(seed: number): Bands {
  const lane = seed % lanes;
  const interval = (range: Interval): Band => ({ kind: 'interval', ...range, distinct: true });
  return {
    speed: interval(slotOf(speed, lane)),
    flow: interval(slotOf(flow, lane)),
    pressure: interval(slotOf(pressure, lane)),
    temperature: hasSensor(seed) ? interval(slotOf(temperature, lane)) : { kind: 'not-available' },
    'operating.hours': interval({
      min: seed * hoursPerSeed,
      max: seed * hoursPerSeed + Math.floor(hoursInService(countersValidUntil)),
    }),
    state: { kind: 'one-of', values: [pumpStates.running] },
    running: { kind: 'one-of', values: [true] },
    fault: { kind: 'one-of', values: [true, false] },
  };
}

function hasSensor(seed: number): boolean {
  return seed % 8 !== withoutSensor;
}
