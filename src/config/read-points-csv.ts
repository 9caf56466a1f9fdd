import type { FindingList } from './finding-list.ts';
import type { Place } from './place.ts';
import type { Sources } from './read-sources.ts';
import type { SourceFile } from './source-file.ts';
import { didYouMean } from './suggest.ts';

/** Columns that belong to the gateway; every other one must be a key of a driver's points. */
export const recordColumns: readonly string[] = [
  'device',
  'id',
  'title',
  'tenant',
  'class',
  'unit',
  'group',
  'scale',
  'offset',
  'min',
  'max',
  'deadband_abs',
  'deadband_pct',
];

/** One line of points.d, its cells as text. */
export interface CsvRow {
  readonly at: SourceFile;
  /** Of the line, from 1. */
  readonly line: number;
  /** Pointer for findings: /rows/0. */
  readonly pointer: string;
  /** The cells that are filled in, by their column. */
  readonly cells: ReadonlyMap<string, string>;
  /** Place of a cell; of the line when there is none. */
  placeOf(column: string): Place;
}

/** The lines of points.d by the device that they belong to. */
export interface CsvPoints {
  readonly byDevice: ReadonlyMap<string, readonly CsvRow[]>;
}

/** Most lines of all files together. */
const rowLimit = 50_000;

/** Reads the files of points.d. `known` lists the columns that the drivers understand. */
export async function readPointsCsv(
  sources: Sources,
  known: ReadonlySet<string>,
  findings: FindingList,
): Promise<CsvPoints> {
  const byDevice = new Map<string, CsvRow[]>();
  if (sources.files.length === 0) return { byDevice };
  // Only sites with such files pay for loading the parser.
  const { CsvError, parse } = await import('csv-parse/sync');
  let rows = 0;
  for (const at of sources.files) {
    const delimiter = delimiterOf(at.text);
    let records: ParsedRecord[];
    try {
      records = parse(at.text, {
        bom: true,
        delimiter,
        comment: '#',
        comment_no_infix: true,
        info: true,
        raw: true,
        relax_column_count: true,
        skip_empty_lines: true,
        skip_records_with_empty_values: true,
        trim: true,
        max_record_size: 65_536,
      }) as unknown as ParsedRecord[];
    } catch (error) {
      const line = error instanceof CsvError && typeof error.lines === 'number' ? error.lines : 1;
      findings.add({
        code: 'E1501',
        at,
        place: { line: Math.max(1, line), column: 1 },
        message: `the table cannot be read: ${error instanceof Error ? error.message : String(error)}`,
        hint: 'look for a quotation mark that is not closed',
      });
      continue;
    }
    const [head, ...body] = records;
    if (head === undefined) continue;
    const columns = readHead(at, head, delimiter, known, findings);
    if (columns === undefined) continue;
    for (const [i, record] of body.entries()) {
      if (++rows > rowLimit) {
        findings.add({
          code: 'E1405',
          at,
          place: { line: firstLine(record), column: 1 },
          message: `the files of points.d have more than ${rowLimit} lines`,
        });
        return { byDevice };
      }
      const row = readRow(at, i, record, columns, delimiter, findings);
      if (row === undefined) continue;
      const device = row.cells.get('device') ?? '';
      const list = byDevice.get(device);
      if (list === undefined) byDevice.set(device, [row]);
      else list.push(row);
    }
  }
  return { byDevice };
}

interface ParsedRecord {
  readonly record: readonly string[];
  readonly raw: string;
  readonly info: { readonly lines: number };
}

/** Where Excel has a decimal comma, it separates cells by semicolons. */
function delimiterOf(text: string): ',' | ';' | '\t' {
  const head = text.split('\n').find((line) => line.trim() !== '' && !line.startsWith('#')) ?? '';
  if (head.includes(',')) return ',';
  if (head.includes(';')) return ';';
  return head.includes('\t') ? '\t' : ',';
}

function readHead(
  at: SourceFile,
  head: ParsedRecord,
  delimiter: string,
  known: ReadonlySet<string>,
  findings: FindingList,
): readonly string[] | undefined {
  const columns = head.record;
  const line = firstLine(head);
  const placeAt = (index: number): Place => ({
    line,
    column: cellStart(head.raw, index, delimiter),
  });
  let good = true;
  for (const [i, column] of columns.entries()) {
    if (columns.indexOf(column) !== i && column !== '') {
      good = false;
      findings.add({
        code: 'E1508',
        at,
        pointer: `/columns/${i}`,
        place: placeAt(i),
        message: `column "${column}" is there twice`,
      });
    } else if (column !== '' && !recordColumns.includes(column) && !known.has(column)) {
      good = false;
      findings.add({
        code: 'E1502',
        at,
        pointer: `/columns/${i}`,
        place: placeAt(i),
        message: `unknown column "${column}"`,
        ...didYouMean(column, [...recordColumns, ...known]),
      });
    }
  }
  for (const column of ['device', 'id']) {
    if (columns.includes(column)) continue;
    good = false;
    findings.add({
      code: 'E1503',
      at,
      place: { line, column: 1 },
      message: `the first line must have a column "${column}"`,
    });
  }
  return good ? columns : undefined;
}

function readRow(
  at: SourceFile,
  index: number,
  record: ParsedRecord,
  columns: readonly string[],
  delimiter: string,
  findings: FindingList,
): CsvRow | undefined {
  const line = firstLine(record);
  const pointer = `/rows/${index}`;
  const filled = record.record.findLastIndex((cell) => cell !== '') + 1;
  if (filled > columns.length || record.record.length < columns.length) {
    findings.add({
      code: 'E1504',
      at,
      pointer,
      place: { line, column: 1 },
      message: `the line has ${record.record.length} cells, the first line has ${columns.length}`,
      hint: 'put a text with a comma in quotation marks',
    });
    return undefined;
  }
  const cells = new Map<string, string>();
  for (const [i, column] of columns.entries()) {
    const cell = record.record[i] ?? '';
    if (cell === '') continue;
    if (column === '') {
      findings.add({
        code: 'E1502',
        at,
        pointer,
        place: { line, column: cellStart(record.raw, i, delimiter) },
        message: `cell ${i + 1} is filled in, but its column has no heading`,
      });
      return undefined;
    }
    cells.set(column, cell);
  }
  for (const column of ['device', 'id']) {
    if (cells.has(column)) continue;
    findings.add({
      code: 'E1506',
      at,
      pointer,
      place: { line, column: cellStart(record.raw, columns.indexOf(column), delimiter) },
      message: `the cell of column "${column}" is empty`,
    });
    return undefined;
  }
  return {
    at,
    line,
    pointer,
    cells,
    placeOf(column) {
      const i = columns.indexOf(column);
      return { line, column: i < 0 ? 1 : cellStart(record.raw, i, delimiter) };
    },
  };
}

/** The parser counts the line where a record ends. */
function firstLine(record: ParsedRecord): number {
  const inner = record.raw.replace(/\r?\n$/, '').split('\n').length - 1;
  return Math.max(1, record.info.lines - inner);
}

/** Column, from 1, at which a cell begins in its line. */
function cellStart(raw: string, index: number, delimiter: string): number {
  let quoted = false;
  let cell = 0;
  for (let i = 0; i < raw.length; i++) {
    if (cell === index) return i + 1;
    if (raw[i] === '"') quoted = !quoted;
    else if (raw[i] === delimiter && !quoted) cell++;
  }
  return Math.max(1, raw.trimEnd().length);
}
