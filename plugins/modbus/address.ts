/** One of the four tables of a Modbus device. */
export type Table = 'coil' | 'discrete' | 'holding' | 'input';

/** Names of the tables, for checking what a profile says. */
export const tables: readonly Table[] = ['coil', 'discrete', 'holding', 'input'];

/** Where a value begins: table and number as they travel on the wire, the first register being 0. */
export interface TableAddress {
  readonly table: Table;
  readonly address: number;
}

/** What is wrong with one key of a point; the message shows how it would be right. */
export class PointError extends Error {
  readonly key: string;

  constructor(key: string, message: string) {
    super(message);
    this.name = 'PointError';
    this.key = key;
  }
}

const tableOfDigit: Readonly<Record<string, Table>> = {
  0: 'coil',
  1: 'discrete',
  3: 'input',
  4: 'holding',
};
const notation = /^(?<digit>[0134])(?<place>\d{4,5})$/;
const hexNotation = /^0x[0-9a-f]{1,5}$/i;
const example = 'write it like 39 with table: holding, or like "40040"';

/** Coils and discrete inputs hold single bits, the other tables registers of 16 bits. */
export function holdsBits(table: Table): boolean {
  return table === 'coil' || table === 'discrete';
}

/**
 * Reads `addr`, `table` and `addressBase` of a point. Throws a PointError that shows an example.
 * "40001", "400001" and {table: holding, addr: 0} are the same register.
 */
export function parseAddress(
  addr: unknown,
  table: Table | undefined,
  addressBase: 0 | 1,
): TableAddress {
  if (typeof addr === 'string') {
    // Manuals that count in hexadecimal give the number that travels on the wire.
    if (hexNotation.test(addr)) return parseAddress(Number(addr), table, addressBase);
    return parseNotation(addr, table);
  }
  if (typeof addr !== 'number' || !Number.isInteger(addr)) {
    throw new PointError('addr', `${shown(addr)} is not an address; ${example}`);
  }
  if (table === undefined) {
    throw new PointError('table', `address ${addr} needs a table; ${example}`);
  }
  const address = addr - addressBase;
  if (address < 0 || address > 0xffff) {
    throw new PointError(
      'addr',
      `address ${addr} is outside ${addressBase} to ${0xffff + addressBase}; ${example}`,
    );
  }
  return { table, address };
}

function parseNotation(text: string, table: Table | undefined): TableAddress {
  const parts = notation.exec(text)?.groups;
  const named = tableOfDigit[parts?.digit ?? ''];
  if (parts === undefined || named === undefined) {
    throw new PointError('addr', `"${text}" is not an address; ${example}`);
  }
  if (table !== undefined && table !== named) {
    throw new PointError(
      'addr',
      `"${text}" lies in table ${named}, but the point or the profile's defaults say ${table}; give the point table: ${named}`,
    );
  }
  const address = Number(parts.place) - 1;
  if (address < 0 || address > 0xffff) {
    throw new PointError('addr', `"${text}" does not exist: this notation counts from 1 to 65536`);
  }
  return { table: named, address };
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 40);
}
