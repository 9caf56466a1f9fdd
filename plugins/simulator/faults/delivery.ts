import { headerBytes } from '../modbus/frame.ts';
import { poisonWord } from '../models/poison.ts';
import type { Random } from '../prng.ts';
import type { Fault } from './fault.ts';

/** What is put on the wire instead of one clean answer. */
export interface Delivery {
  /** Sent one after the other. */
  readonly segments: readonly Buffer[];
  /** Milliseconds between two segments. */
  readonly gapMs: number;
  /** Milliseconds before the first, while other answers overtake. */
  readonly lateMs: number;
  /** What becomes of the connection. */
  readonly afterwards: 'stay' | 'close' | 'reset';
}

/** The clean way. */
export function plainDelivery(answer: Buffer): Delivery {
  return { segments: [answer], gapMs: 0, lateMs: 0, afterwards: 'stay' };
}

/** Shapes an answer as the fault demands; every payload that must not be taken is poisoned. */
export function faultyDelivery(fault: Fault, answer: Buffer, random: Random): Delivery {
  const send = (...segments: Buffer[]): Delivery => ({
    ...plainDelivery(answer),
    segments,
  });
  switch (fault.kind) {
    case 'silent':
      return send();
    case 'closeBeforeAnswer':
      return { ...send(), afterwards: 'close' };
    case 'reset':
      return { ...send(), afterwards: 'reset' };
    case 'late':
      return { ...send(fault.poison === true ? poisoned(answer) : answer), lateMs: fault.ms };
    case 'halfFrame': {
      const half = send(answer.subarray(0, answer.length >> 1));
      return fault.close === true ? { ...half, afterwards: 'close' } : half;
    }
    case 'garbage':
      return send(noise(fault.bytes ?? 64, random));
    case 'wrongTransaction': {
      const wrong = poisoned(answer);
      wrong.writeUInt16BE(wrong.readUInt16BE(0) ^ 0x5555, 0);
      return send(wrong);
    }
    case 'wrongUnit': {
      const wrong = poisoned(answer);
      wrong[6] = ((wrong[6] ?? 0) % 247) + 1;
      return send(wrong);
    }
    case 'wrongFunction': {
      const wrong = poisoned(answer);
      wrong[headerBytes] = neighbourFunction(wrong[headerBytes] ?? 0);
      return send(wrong);
    }
    case 'shortData':
      return send(shortened(poisoned(answer)));
    case 'lengthLie': {
      const lie = poisoned(answer);
      lie.writeUInt16BE(fault.length ?? 0xfff0, 4);
      return send(lie);
    }
    case 'duplicate':
      return send(answer, poisoned(answer));
    case 'bytewise':
      return {
        ...send(...Array.from(answer, (_, n) => answer.subarray(n, n + 1))),
        gapMs: fault.ms ?? 2,
      };
    case 'slow':
    case 'exception':
    case 'busy':
    case 'refuseRange':
    case 'maxRegisters':
    case 'dropUnits':
    case 'sleep':
      return plainDelivery(answer);
  }
}

/** A copy whose values are marked; bits are inverted, because a bit has no room for a mark. */
export function poisoned(answer: Buffer): Buffer {
  const copy = Buffer.from(answer);
  const body = headerBytes + 2;
  switch (copy[headerBytes] ?? 0) {
    case 1:
    case 2:
      for (let at = body; at < copy.length; at++) copy[at] = (copy[at] ?? 0) ^ 0xff;
      break;
    case 3:
    case 4:
    case 23:
      for (let at = body; at + 1 < copy.length; at += 2) copy.writeUInt16BE(poisonWord, at);
      break;
    case 5:
      copy.writeUInt16BE(copy.readUInt16BE(10) ^ 0xff00, 10);
      break;
    case 6:
    case 15:
    case 16:
      copy.writeUInt16BE(poisonWord, 10);
      break;
    default:
      break;
  }
  return copy;
}

/** Two bytes short of what its byte count says, with a header that agrees with the bytes sent. */
function shortened(answer: Buffer): Buffer {
  const short = answer.subarray(0, Math.max(headerBytes + 1, answer.length - 2));
  short.writeUInt16BE(short.length - 6, 4);
  return short;
}

function neighbourFunction(code: number): number {
  return code % 2 === 1 ? code + 1 : code - 1;
}

/** Bytes that are no frame: the protocol field is never 0. */
function noise(length: number, random: Random): Buffer {
  const bytes = Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
  if (bytes.length > 2) bytes[2] = (bytes[2] ?? 0) | 0x80;
  return bytes;
}
