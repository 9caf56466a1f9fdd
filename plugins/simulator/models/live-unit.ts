import type { Values } from './band.ts';
import { encodeField, type Field, fieldLength, type Table } from './field.ts';
import { exceptions, type UnitMemory, type WriteOutcome } from './unit.ts';

/** How long a rendered picture of the registers is used again: ten pictures a second. */
const pictureMs = 100;

/** What makes one kind of device move: its map, its values, and what may be written to it. */
export interface Behaviour {
  readonly productCode: string;
  readonly fields: readonly Field[];
  values(time: number): Values;
  writeRegister?(address: number, value: number): WriteOutcome;
  writeCoil?(address: number, value: boolean): WriteOutcome;
}

/**
 * A unit whose registers follow the time. All registers of one answer are of the same instant,
 * and gaps of the map inside a table read as 0, as on most real devices.
 */
export class LiveUnit implements UnitMemory {
  readonly productCode: string;
  readonly #behaviour: Behaviour;
  readonly #tables: Readonly<Record<Table, Buffer>>;
  #picture: number | undefined;

  constructor(behaviour: Behaviour) {
    this.productCode = behaviour.productCode;
    this.#behaviour = behaviour;
    this.#tables = {
      coil: Buffer.alloc(tableLength(behaviour.fields, 'coil') * 2),
      discrete: Buffer.alloc(tableLength(behaviour.fields, 'discrete') * 2),
      input: Buffer.alloc(tableLength(behaviour.fields, 'input') * 2),
      holding: Buffer.alloc(tableLength(behaviour.fields, 'holding') * 2),
    };
  }

  readRegisters(
    table: 'input' | 'holding',
    address: number,
    count: number,
    time: number,
    into: Buffer,
    offset: number,
  ): boolean {
    const registers = this.#tables[table];
    if ((address + count) * 2 > registers.length) return false;
    this.#render(time);
    registers.copy(into, offset, address * 2, (address + count) * 2);
    return true;
  }

  readBits(
    table: 'coil' | 'discrete',
    address: number,
    count: number,
    time: number,
    into: Buffer,
    offset: number,
  ): boolean {
    const registers = this.#tables[table];
    if ((address + count) * 2 > registers.length) return false;
    this.#render(time);
    for (let n = 0; n < count; n++) {
      const byte = offset + (n >> 3);
      if (registers[(address + n) * 2 + 1] === 1) into[byte] = (into[byte] ?? 0) | (1 << (n & 7));
    }
    return true;
  }

  writeRegisters(address: number, words: Buffer): WriteOutcome {
    const write = this.#behaviour.writeRegister;
    // Several at once would have to be undone when a later one is refused: these devices take one.
    if (write === undefined || words.length !== 2) return exceptions.illegalAddress;
    return this.#written(write.call(this.#behaviour, address, words.readUInt16BE()));
  }

  writeCoils(address: number, values: readonly boolean[]): WriteOutcome {
    const write = this.#behaviour.writeCoil;
    const [value] = values;
    if (write === undefined || value === undefined || values.length !== 1) {
      return exceptions.illegalAddress;
    }
    return this.#written(write.call(this.#behaviour, address, value));
  }

  #written(outcome: WriteOutcome): WriteOutcome {
    // A written value is read back at once, not up to a tenth of a second later.
    this.#picture = undefined;
    return outcome;
  }

  #render(time: number): void {
    const picture = Math.floor(time / pictureMs);
    if (picture === this.#picture) return;
    this.#picture = picture;
    const values = this.#behaviour.values(picture * pictureMs);
    for (const field of this.#behaviour.fields) {
      encodeField(field, values[field.point] ?? null, this.#tables[field.table]);
    }
  }
}

function tableLength(fields: readonly Field[], table: Table): number {
  return fields
    .filter((field) => field.table === table)
    .reduce((length, field) => Math.max(length, field.address + fieldLength(field)), 0);
}
