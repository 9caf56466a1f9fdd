import { holdsBits, type Table } from './address.ts';

/** Assumed time from a request to its answer on a building network, before data. */
export const roundTripMs = 10;
const perRegisterMs = 0.002;
/** Bytes of a request for reading, and those of its answer besides the data, with CRC. */
const requestBytes = 8;
const answerBytes = 5;
/** Above this speed the silence between frames is fixed (Modbus over Serial Line V1.02, 2.5.1.1). */
const fixedGapAbove = 19_200;
const fixedGapMs = 1.75;

/** Speed and shape of the characters on a serial line. */
export interface SerialLine {
  readonly baudRate: number;
  readonly dataBits: 7 | 8;
  readonly parity: 'none' | 'even' | 'odd';
  readonly stopBits: 1 | 2;
}

/** Cost of one request for reading in ms of the link's time. */
export type RequestCost = (table: Table, count: number) => number;

/** Milliseconds that one character takes on the line. */
export function characterMs(line: SerialLine): number {
  const bits = 1 + line.dataBits + (line.parity === 'none' ? 0 : 1) + line.stopBits;
  return (1000 * bits) / line.baudRate;
}

/** Silence that ends a frame: 3.5 characters, or 1.75 ms on fast lines. */
export function frameGapMs(line: SerialLine): number {
  return line.baudRate > fixedGapAbove ? fixedGapMs : 3.5 * characterMs(line);
}

/** Cost of one request over a network. */
export function tcpRequestCost(interRequestMs: number): RequestCost {
  return (table, count) =>
    roundTripMs + interRequestMs + perRegisterMs * (holdsBits(table) ? count / 16 : count);
}

/**
 * Cost of one request over a serial line: both frames, the silence after each of them, and
 * `turnaroundMs` that the device thinks. A pause that the device wants counts as far as it is
 * longer than the silence that is there anyway.
 */
export function serialRequestCost(
  line: SerialLine,
  interRequestMs: number,
  turnaroundMs: number,
): RequestCost {
  const character = characterMs(line);
  const gap = frameGapMs(line);
  const fixed =
    (requestBytes + answerBytes) * character + gap + Math.max(gap, interRequestMs) + turnaroundMs;
  return (table, count) =>
    fixed + character * (holdsBits(table) ? Math.ceil(count / 8) : 2 * count);
}
