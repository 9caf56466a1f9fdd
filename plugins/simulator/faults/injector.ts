import type { Frame } from '../modbus/frame.ts';
import { type Target, targetOf } from '../modbus/request.ts';
import { exceptions } from '../models/unit.ts';
import { type Random, seededRandom } from '../prng.ts';
import type { Fault } from './fault.ts';

/** What happens to one request. */
export interface Decision {
  /** The unit takes this much longer. */
  readonly slowMs: number;
  /** The fault that shapes the answer, if any. */
  readonly fault?: Fault;
  /** Refused with this exception instead of being carried out. */
  readonly exception?: number;
  /** The request reaches nobody. */
  readonly unreachable?: true;
}

/** The decision for a request that nothing happens to. */
export const untouched: Decision = { slowMs: 0 };

interface Watch {
  readonly fault: Fault;
  readonly random: Random;
  seen: number;
  struck: number;
  busy: number;
}

/**
 * Chooses the fault of each request: faults are asked in the order in which they are listed, the
 * first that strikes shapes the answer, and slowness adds up. The same seed and the same requests
 * give the same faults.
 */
export class FaultInjector {
  readonly #watches: readonly Watch[];

  constructor(faults: readonly Fault[], seed: number) {
    this.#watches = faults.map((fault, n) => ({
      fault,
      random: seededRandom(seed * 31 + n),
      seen: 0,
      struck: 0,
      busy: 0,
    }));
  }

  /** `elapsedMs`: since the listener was opened. */
  decide(frame: Frame, elapsedMs: number): Decision {
    if (this.#watches.length === 0) return untouched;
    const target = targetOf(frame.pdu);
    let slowMs = 0;
    for (const watch of this.#watches) {
      const { fault } = watch;
      if (!applies(fault, frame, target, elapsedMs) || !strikes(watch, frame)) continue;
      if (fault.kind === 'slow') slowMs += fault.ms;
      else return consequence(fault, slowMs);
    }
    return slowMs === 0 ? untouched : { slowMs };
  }
}

/** Whether the request is one that the fault is about at all. */
function applies(
  fault: Fault,
  frame: Frame,
  target: Target | undefined,
  elapsedMs: number,
): boolean {
  switch (fault.kind) {
    case 'refuseRange':
      return (
        target?.kind === 'registers' &&
        target.address <= fault.to &&
        target.address + target.count > fault.from
      );
    case 'maxRegisters':
      return target?.kind === 'registers' && target.reads && target.count > fault.n;
    case 'dropUnits':
      return fault.units.includes(frame.unit);
    case 'sleep':
      return (elapsedMs + (fault.offsetMs ?? 0)) % fault.everyMs < fault.forMs;
    case 'silent':
    case 'closeBeforeAnswer':
    case 'reset':
    case 'wrongTransaction':
    case 'wrongUnit':
    case 'wrongFunction':
    case 'shortData':
    case 'duplicate':
    case 'late':
    case 'slow':
    case 'exception':
    case 'busy':
    case 'halfFrame':
    case 'garbage':
    case 'lengthLie':
    case 'bytewise':
      return true;
  }
}

function strikes(watch: Watch, frame: Frame): boolean {
  const { fault } = watch;
  if (fault.functions !== undefined && !fault.functions.includes(frame.pdu[0] ?? 0)) return false;
  watch.seen += 1;
  if (fault.limit !== undefined && watch.struck >= fault.limit) return false;
  if (fault.every !== undefined && watch.seen % fault.every !== 0) return false;
  if (fault.probability !== undefined && watch.random() >= fault.probability) return false;
  if (fault.kind === 'busy') {
    watch.busy = watch.busy < (fault.times ?? 1) ? watch.busy + 1 : 0;
    if (watch.busy === 0) return false;
  }
  watch.struck += 1;
  return true;
}

function consequence(fault: Fault, slowMs: number): Decision {
  switch (fault.kind) {
    case 'exception':
      return { slowMs, fault, exception: fault.code };
    case 'busy':
      return { slowMs, fault, exception: exceptions.busy };
    case 'refuseRange':
      return { slowMs, fault, exception: exceptions.illegalAddress };
    case 'maxRegisters':
      return { slowMs, fault, exception: exceptions.illegalValue };
    case 'dropUnits':
    case 'sleep':
      return { slowMs, fault, unreachable: true };
    case 'silent':
    case 'closeBeforeAnswer':
    case 'reset':
    case 'wrongTransaction':
    case 'wrongUnit':
    case 'wrongFunction':
    case 'shortData':
    case 'duplicate':
    case 'late':
    case 'slow':
    case 'halfFrame':
    case 'garbage':
    case 'lengthLie':
    case 'bytewise':
      return { slowMs, fault };
  }
}
