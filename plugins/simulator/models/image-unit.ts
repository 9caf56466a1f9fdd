import { exceptions, type UnitMemory, type WriteOutcome } from './unit.ts';

/** What a unit of model `image` holds; addresses as decimal or hexadecimal text ("0x0010"). */
export interface Image {
  readonly coil?: Readonly<Record<string, 0 | 1>>;
  readonly discrete?: Readonly<Record<string, 0 | 1>>;
  /** Hexadecimal words from the address on: "4366 3333". */
  readonly input?: Readonly<Record<string, string>>;
  readonly holding?: Readonly<Record<string, string>>;
}

type Cells = Map<number, number>;

/** A unit that holds exactly the registers it was given; every other address is refused. */
export class ImageUnit implements UnitMemory {
  readonly productCode = 'SIM-IMAGE';
  readonly #cells: Readonly<Record<'coil' | 'discrete' | 'input' | 'holding', Cells>>;

  /** Throws an Error that names the entry if the image is malformed. */
  constructor(image: Image) {
    this.#cells = {
      coil: bitCells('coil', image.coil),
      discrete: bitCells('discrete', image.discrete),
      input: wordCells('input', image.input),
      holding: wordCells('holding', image.holding),
    };
  }

  readRegisters(
    table: 'input' | 'holding',
    address: number,
    count: number,
    _time: number,
    into: Buffer,
    offset: number,
  ): boolean {
    const cells = this.#cells[table];
    for (let n = 0; n < count; n++) {
      const word = cells.get(address + n);
      if (word === undefined) return false;
      into.writeUInt16BE(word, offset + n * 2);
    }
    return true;
  }

  readBits(
    table: 'coil' | 'discrete',
    address: number,
    count: number,
    _time: number,
    into: Buffer,
    offset: number,
  ): boolean {
    const cells = this.#cells[table];
    for (let n = 0; n < count; n++) {
      const bit = cells.get(address + n);
      if (bit === undefined) return false;
      const byte = offset + (n >> 3);
      into[byte] = (into[byte] ?? 0) | (bit << (n & 7));
    }
    return true;
  }

  writeRegisters(address: number, words: Buffer): WriteOutcome {
    const values: number[] = [];
    for (let at = 0; at < words.length; at += 2) values.push(words.readUInt16BE(at));
    return write(this.#cells.holding, address, values);
  }

  writeCoils(address: number, values: readonly boolean[]): WriteOutcome {
    return write(this.#cells.coil, address, values.map(Number));
  }
}

function write(cells: Cells, address: number, values: readonly number[]): WriteOutcome {
  if (values.some((_, n) => !cells.has(address + n))) return exceptions.illegalAddress;
  for (const [n, value] of values.entries()) cells.set(address + n, value);
  return 0;
}

function bitCells(table: string, entries: Readonly<Record<string, number>> = {}): Cells {
  const cells: Cells = new Map();
  for (const [address, bit] of Object.entries(entries)) {
    if (bit !== 0 && bit !== 1) throw new Error(`${table} ${address} must be 0 or 1, not ${bit}`);
    put(cells, table, parseAddress(table, address), bit);
  }
  return cells;
}

function wordCells(table: string, entries: Readonly<Record<string, string>> = {}): Cells {
  const cells: Cells = new Map();
  for (const [address, words] of Object.entries(entries)) {
    const first = parseAddress(table, address);
    for (const [n, word] of words.trim().split(/\s+/).entries()) {
      if (!/^[0-9A-Fa-f]{4}$/.test(word)) {
        throw new Error(`${table} ${address}: "${word}" is not a word such as "4366"`);
      }
      put(cells, table, first + n, Number.parseInt(word, 16));
    }
  }
  return cells;
}

function put(cells: Cells, table: string, address: number, value: number): void {
  if (address > 0xffff) throw new Error(`${table} runs beyond address 65535`);
  if (cells.has(address)) throw new Error(`${table} ${address} is given twice`);
  cells.set(address, value);
}

function parseAddress(table: string, text: string): number {
  const address = /^(\d{1,5}|0x[0-9A-Fa-f]{1,4})$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(address) || address > 0xffff) {
    throw new Error(`${table} "${text}" is not an address such as "16" or "0x0010"`);
  }
  return address;
}
