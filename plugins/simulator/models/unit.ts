import type { Table } from './field.ts';

/** Exception codes of the Modbus application protocol 1.1b3, §7. */
export const exceptions = {
  illegalFunction: 1,
  illegalAddress: 2,
  illegalValue: 3,
  busy: 6,
  noPath: 11,
} as const;

/** 0 when the write was done, else an exception code. */
export type WriteOutcome = 0 | 1 | 2 | 3;

/** The memory of one simulated unit. Reads answer false when an address does not exist. */
export interface UnitMemory {
  /** For device identification (function 43/14). */
  readonly productCode: string;
  /** Puts `count` registers into `into` from byte `offset` on. `time`: milliseconds since 1970. */
  readRegisters(
    table: 'input' | 'holding',
    address: number,
    count: number,
    time: number,
    into: Buffer,
    offset: number,
  ): boolean;
  /** Puts `count` bits into zeroed bytes of `into` from byte `offset` on, lowest bit first. */
  readBits(
    table: 'coil' | 'discrete',
    address: number,
    count: number,
    time: number,
    into: Buffer,
    offset: number,
  ): boolean;
  /** `words` holds whole registers, high byte first. Writes all or nothing. */
  writeRegisters(address: number, words: Buffer): WriteOutcome;
  /** Writes all or nothing. */
  writeCoils(address: number, values: readonly boolean[]): WriteOutcome;
}

export type { Table };
