import { columns, cut, pad } from '../http/text-block.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** Columns of the terminal at most; what is longer is cut. */
  readonly max?: number;
}

/** Rows below titles, two spaces between columns; the last column is not filled up. */
export function table(
  head: readonly Column[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const widths = head.map(({ title, max = 60 }, index) =>
    rows.reduce(
      (widest, row) => Math.max(widest, Math.min(max, columns(row[index] ?? ''))),
      columns(title),
    ),
  );
  const line = (cells: readonly string[]) =>
    head
      .map(({ align = 'left' }, index) => {
        const width = widths[index] ?? 0;
        return pad(cut(cells[index] ?? '', width), width, align === 'left' ? 'right' : 'left');
      })
      .join('  ')
      .trimEnd();
  return [line(head.map(({ title }) => title)), ...rows.map(line)];
}
