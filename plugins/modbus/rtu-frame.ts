import { misfit } from './pdu.ts';

/** Unit, function, one byte and the CRC: nothing shorter is a frame. */
const shortest = 5;
/** Most bytes of a frame on a serial line (Modbus over Serial Line V1.02, 2.5.1). */
export const longestRtuFrame = 256;

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >> 1 : (crc >> 1) ^ 0xa001;
  return crc;
});

/** CRC-16/MODBUS of `bytes` from `start` up to `end`. */
export function crc16(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = 0xffff;
  for (let at = start; at < end; at++) {
    crc = (crc >> 8) ^ (table[(crc ^ (bytes[at] as number)) & 0xff] as number);
  }
  return crc;
}

/** One request or answer as it goes over a serial line. */
export function rtuFrame(unit: number, pdu: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(pdu.length + 3);
  frame[0] = unit;
  pdu.copy(frame, 1);
  frame.writeUInt16LE(crc16(frame, 0, frame.length - 2), frame.length - 2);
  return frame;
}

/** What was found in the bytes that came after a request. */
export interface FoundAnswer {
  readonly pdu: Buffer;
  /** Bytes before the frame that belong to nothing. */
  readonly skipped: number;
  /** Why the frame is none for the request although its CRC is right. */
  readonly misfit?: string;
}

/**
 * Looks for an answer of `unit` to `request` by expected length and CRC, wherever it begins: lines
 * put noise before and after frames, and silence between bytes says nothing through a USB adapter.
 * An answer that fits goes before one that does not; undefined if there is none (yet).
 */
export function findAnswer(bytes: Buffer, unit: number, request: Buffer): FoundAnswer | undefined {
  let other: FoundAnswer | undefined;
  for (let start = 0; start + shortest <= bytes.length; start++) {
    if (bytes[start] !== unit || (((bytes[start + 1] ?? 0) ^ (request[0] ?? 0)) & 0x7f) !== 0) {
      continue;
    }
    const length = lengthAt(bytes, start, request);
    const end = length === undefined ? Number.POSITIVE_INFINITY : start + length;
    if (end > bytes.length || crc16(bytes, start, end - 2) !== bytes.readUInt16LE(end - 2)) {
      continue;
    }
    const pdu = Buffer.from(bytes.subarray(start + 1, end - 2));
    if (isHeardRequest(pdu, request)) continue;
    const why = misfit(request, pdu);
    if (why === undefined) return { pdu, skipped: start };
    other ??= { pdu, skipped: start, misfit: why };
  }
  return other;
}

/** A read never looks like its answer, except to an adapter that hears what it sends. */
function isHeardRequest(pdu: Buffer, request: Buffer): boolean {
  const isEchoed = [5, 6, 8, 22].includes(request[0] ?? 0);
  return !isEchoed && pdu.equals(request);
}

/** Whether the end of an answer to this function can be told without the silence after it. */
export function hasKnownLength(functionCode: number): boolean {
  return knownLengths.has(functionCode);
}

const knownLengths = new Set([1, 2, 3, 4, 5, 6, 8, 11, 15, 16, 17, 20, 22, 23, 43]);

/** The length that a frame which begins at `start` has; undefined if that is not known yet. */
function lengthAt(bytes: Buffer, start: number, request: Buffer): number | undefined {
  if (((bytes[start + 1] ?? 0) & 0x80) !== 0) return 5;
  const count = bytes[start + 2] ?? 0;
  switch (request[0] ?? 0) {
    case 1:
    case 2:
    case 3:
    case 4:
    case 17:
    case 20:
    case 23:
      // A byte count that is not the one asked for makes a frame that does not fit.
      return 5 + count;
    case 5:
    case 6:
    case 8:
    case 11:
    case 15:
    case 16:
      return 8;
    case 22:
      return 10;
    case 43:
      return identificationLength(bytes, start);
    default:
      return undefined;
  }
}

/** Read Device Identification (V1.1b3, 6.21) has its length in the objects themselves. */
function identificationLength(bytes: Buffer, start: number): number | undefined {
  let at = start + 8;
  for (let left = bytes[start + 7] ?? 0; left > 0; left--) {
    if (at + 2 > bytes.length || at - start > longestRtuFrame) return undefined;
    at += 2 + (bytes[at + 1] ?? 0);
  }
  return at + 2 - start;
}
