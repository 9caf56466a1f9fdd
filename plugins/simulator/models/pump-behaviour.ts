import type { Values } from './band.ts';
import type { Behaviour } from './live-unit.ts';
import { highestSpeed, type PumpOrders, pumpFields, pumpValues } from './pump.ts';
import { exceptions, type WriteOutcome } from './unit.ts';

const speedAddress = addressOf('speed');
const runningAddress = addressOf('running');

/** A pump that can be stopped by its coil and set to a speed by its register. */
export class PumpBehaviour implements Behaviour {
  readonly productCode = 'SIM-PUMP';
  readonly fields = pumpFields;
  readonly #seed: number;
  #orders: PumpOrders = {};

  constructor(seed: number) {
    this.#seed = seed;
  }

  values(time: number): Values {
    return pumpValues(this.#seed, time, this.#orders);
  }

  writeRegister(address: number, value: number): WriteOutcome {
    if (address !== speedAddress) return exceptions.illegalAddress;
    if (value > highestSpeed) return exceptions.illegalValue;
    this.#orders = { ...this.#orders, speed: value };
    return 0;
  }

  writeCoil(address: number, value: boolean): WriteOutcome {
    if (address !== runningAddress) return exceptions.illegalAddress;
    this.#orders = { ...this.#orders, running: value };
    return 0;
  }
}

function addressOf(point: string): number {
  return pumpFields.find((field) => field.point === point)?.address ?? -1;
}
