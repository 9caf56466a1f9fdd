import type { UnitMemory, WriteOutcome } from './unit.ts';

/**
 * A unit for benches: every address of every table exists, and register n holds (count + n)
 * modulo 65536, where count goes up by one with each read. So any two registers of one answer
 * prove that they belong together, and two answers that they are not the same one.
 */
export class CounterUnit implements UnitMemory {
  readonly productCode = 'SIM-COUNTER';
  #count = 0;

  readRegisters(
    _table: 'input' | 'holding',
    address: number,
    count: number,
    _time: number,
    into: Buffer,
    offset: number,
  ): boolean {
    let value = this.#next() + address;
    let at = offset;
    for (let n = 0; n < count; n++, value++) {
      into[at++] = (value >> 8) & 0xff;
      into[at++] = value & 0xff;
    }
    return true;
  }

  readBits(
    _table: 'coil' | 'discrete',
    address: number,
    count: number,
    _time: number,
    into: Buffer,
    offset: number,
  ): boolean {
    const first = this.#next() + address;
    for (let n = 0; n < count; n++) {
      const byte = offset + (n >> 3);
      if (((first + n) & 1) === 1) into[byte] = (into[byte] ?? 0) | (1 << (n & 7));
    }
    return true;
  }

  /** Sets the counter so that the first register written reads back once as it was written. */
  writeRegisters(address: number, words: Buffer): WriteOutcome {
    this.#count = (words.readUInt16BE() - address) & 0xffff;
    return 0;
  }

  /** Sets the counter so that the first coil written reads back once as it was written. */
  writeCoils(address: number, values: readonly boolean[]): WriteOutcome {
    this.#count = (Number(values[0] ?? false) - address) & 0xffff;
    return 0;
  }

  #next(): number {
    const count = this.#count;
    this.#count = (count + 1) & 0xffff;
    return count;
  }
}
