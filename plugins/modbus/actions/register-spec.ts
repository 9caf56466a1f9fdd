import {
  holdsBits,
  PointError,
  parseAddress,
  type Table,
  type TableAddress,
  tables,
} from '../address.ts';
import { ModbusError } from '../modbus-error.ts';

const tableOfDigit: Readonly<Record<string, Table>> = {
  0: 'coil',
  1: 'discrete',
  3: 'input',
  4: 'holding',
};
const firstOfTable: Readonly<Record<Table, number>> = {
  coil: 1,
  discrete: 10_001,
  input: 30_001,
  holding: 40_001,
};

/**
 * Reads "4x:40071" and "40071" as manuals count, from 1, and "holding:70" as it travels, from 0.
 * Throws a ModbusError that shows how it is written.
 */
export function registerSpec(text: string): TableAddress {
  const parts = /^(?:(?<digit>[0134])x:|(?<name>[a-z]+):)?(?<number>\d{1,6})$/.exec(text)?.groups;
  const wrong = (why: string) =>
    new ModbusError(
      'bad-address',
      `"${text.slice(0, 40)}" ${why}; write 4x:40071 or 40071 as in the manual, or holding:70 as sent`,
    );
  if (parts === undefined) throw wrong('is no register');
  const number = parts.number ?? '';
  try {
    if (parts.name !== undefined) {
      const table = tables.find((each) => each === parts.name);
      if (table === undefined) throw wrong(`names no table (${tables.join(', ')})`);
      return parseAddress(Number(number), table, 0);
    }
    const table = tableOfDigit[parts.digit ?? ''];
    // 4x:71 is the seventy-first register; 4x:40071 names the table twice.
    return table !== undefined && number.length < 5
      ? parseAddress(Number(number), table, 1)
      : parseAddress(number, table, 1);
  } catch (error) {
    if (error instanceof PointError) throw wrong('does not exist');
    throw error;
  }
}

/** How a manual that counts from 1 calls an address: 40071, or 465536 beyond the old numbers. */
export function manualNumber({ table, address }: TableAddress): string {
  const first = firstOfTable[table];
  if (address < 9_999) return String(first + address).padStart(5, '0');
  return `${Math.floor(first / 10_000)}${String(address + 1).padStart(5, '0')}`;
}

/** "holding registers", "coils". */
export function tableText(table: Table): string {
  const names = { coil: 'coils', discrete: 'discrete inputs' } as const;
  return holdsBits(table) ? names[table as keyof typeof names] : `${table} registers`;
}
