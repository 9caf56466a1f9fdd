import type { PointPlace } from './check-points.ts';
import { checkSchema, compileSchema } from './check-schema.ts';
import type { UsableDriver } from './driver-schemas.ts';
import type { FindingList } from './finding-list.ts';
import { pointerStep, pointerSteps } from './json-pointer.ts';
import { type CsvRow, recordColumns } from './read-points-csv.ts';
import { devicePointSchema } from './schemas/point-schema.ts';
import { isMapping, type Mapping } from './yaml-document.ts';

/** Turns a line of points.d into the keys of a point; undefined when it cannot be used. */
export function pointOfRow(
  row: CsvRow,
  driver: UsableDriver,
  findings: FindingList,
): { readonly keys: Mapping; readonly place: PointPlace } | undefined {
  const before = findings.errors;
  const number = (column: string) => numberIn(row, column, findings);
  const text = (key: string) => {
    const cell = row.cells.get(key);
    return cell === undefined ? {} : { [key]: cell };
  };
  const given = (key: string, value: number | undefined) =>
    value === undefined ? {} : { [key]: value };
  const deadband = {
    ...given('abs', number('deadband_abs')),
    ...given('pct', number('deadband_pct')),
  };
  const keys: Mapping = {
    ...text('id'),
    ...text('title'),
    ...text('tenant'),
    ...text('class'),
    ...text('unit'),
    ...text('group'),
    ...given('scale', number('scale')),
    ...given('offset', number('offset')),
    ...rangeOf(row, number('min'), number('max'), findings),
    ...(Object.keys(deadband).length === 0 ? {} : { deadband }),
    ...driverKeys(row, driver, findings),
  };
  checkSchema(
    devicePointSchema,
    keys,
    {
      at: row.at,
      pointer: (within) => row.pointer + pointerStep(columnOf(within)),
      place: (within) => row.placeOf(columnOf(within)),
    },
    findings,
  );
  if (findings.errors !== before) return undefined;
  return {
    keys,
    place: {
      at: row.at,
      pointer: row.pointer,
      placeOf: (key) => row.placeOf(columnOf(pointerStep(key))),
    },
  };
}

/** The column that a key of a point comes from. */
function columnOf(within: string): string {
  const [key = 'id', below] = pointerSteps(within);
  if (key === 'range') return 'min';
  return key === 'deadband' ? `deadband_${below ?? 'abs'}` : key;
}

function numberIn(row: CsvRow, column: string, findings: FindingList): number | undefined {
  const cell = row.cells.get(column);
  if (cell === undefined) return undefined;
  const value = parseNumber(cell);
  if (value !== undefined) return value;
  findings.add({
    code: 'E1505',
    at: row.at,
    pointer: row.pointer + pointerStep(column),
    place: row.placeOf(column),
    message: `${JSON.stringify(cell)} in column ${column} is not a number`,
    ...(/^-?\d+,\d+$/.test(cell) ? { hint: `write ${cell.replace(',', '.')}` } : {}),
  });
  return undefined;
}

function rangeOf(
  row: CsvRow,
  min: number | undefined,
  max: number | undefined,
  findings: FindingList,
): Mapping {
  if (min !== undefined && max !== undefined) return { range: [min, max] };
  if (min === undefined && max === undefined) return {};
  // The other cell may be there and wrong: that is told already.
  if (row.cells.has('min') && row.cells.has('max')) return {};
  const missing = min === undefined ? 'min' : 'max';
  findings.add({
    code: 'E1506',
    at: row.at,
    pointer: row.pointer + pointerStep(missing),
    place: row.placeOf(missing),
    message: `min and max go together; ${missing} is empty`,
  });
  return {};
}

function driverKeys(row: CsvRow, driver: UsableDriver, findings: FindingList): Mapping {
  const keys: [string, unknown][] = [];
  for (const [column, cell] of row.cells) {
    if (recordColumns.includes(column)) continue;
    const schema = driver.pointKeys[column];
    const forms = formsOf(cell).filter((form) => fits(schema, form));
    if (forms.length > 1 && /^\d/.test(cell) && !/^0x/i.test(cell)) {
      // 40001 is an address on the wire, "40001" a register in the notation of manuals: a guess
      // would read a neighbour.
      findings.add({
        code: 'E1507',
        at: row.at,
        pointer: row.pointer + pointerStep(column),
        place: row.placeOf(column),
        message: `${cell} in column ${column} could be the number ${cell} or the text "${cell}"`,
        hint: `write 0x${Number(cell).toString(16).toUpperCase()} for the number, or '${cell} (with an apostrophe) for the text`,
      });
    }
    keys.push([column, forms[0] ?? formsOf(cell)[0] ?? cell]);
  }
  return Object.fromEntries(keys);
}

/** What the text of a cell can stand for, the most likely first. */
function formsOf(cell: string): readonly unknown[] {
  if (cell.startsWith("'")) return [cell.slice(1)];
  const number = parseNumber(cell);
  if (number !== undefined) return [number, cell];
  if (/^(true|false)$/i.test(cell)) return [cell.toLowerCase() === 'true', cell];
  if (/^[[{]/.test(cell)) {
    try {
      return [JSON.parse(cell) as unknown, cell];
    } catch {
      return [cell];
    }
  }
  return [cell];
}

function parseNumber(cell: string): number | undefined {
  if (/^0x[0-9a-f]{1,13}$/i.test(cell)) return Number(cell);
  if (!/^[-+]?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(cell)) return undefined;
  const value = Number(cell);
  return Number.isFinite(value) && !(Number.isInteger(value) && !Number.isSafeInteger(value))
    ? value
    : undefined;
}

/** Whether a value fits a column; a schema that cannot be used alone lets everything pass. */
function fits(schema: unknown, value: unknown): boolean {
  if (!isMapping(schema)) return true;
  try {
    return compileSchema(schema)(value) === true;
  } catch {
    return true;
  }
}
