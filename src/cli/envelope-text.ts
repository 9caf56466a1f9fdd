import { printable, printableValue } from '../http/printable.ts';
import { countText } from '../http/words.ts';

/** Readings of one envelope that are shown before the rest is counted. */
const maxReadings = 20;

interface ReadingsBody {
  readonly t0?: unknown;
  readonly points?: unknown;
  readonly r?: unknown;
}

/** An envelope for a person: what it is on the first line, then its readings or its data. */
export function envelopeText(event: Readonly<Record<string, unknown>>): readonly string[] {
  const text = (name: string) => printable(String(event[name] ?? '-'), 120);
  const lines = [
    `${Number(event.sequence)}  ${text('type')}  ${text('time')}  ${text('source')}  (${text('id')})`,
  ];
  const data = event.data as ReadingsBody | undefined;
  if (event.type === 'riser.readings.v1' && Array.isArray(data?.r) && Array.isArray(data.points)) {
    return [...lines, ...readingLines(data.points, data.r)];
  }
  lines.push(`    ${printable(JSON.stringify(data ?? null), 400)}`);
  return lines;
}

function readingLines(points: readonly unknown[], readings: readonly unknown[]): readonly string[] {
  const lines = readings.slice(0, maxReadings).map((reading) => {
    const [index, after, value, reason] = Array.isArray(reading) ? (reading as unknown[]) : [];
    const point = printable(String(points[Number(index)] ?? '?'), 120);
    const late = typeof after === 'number' && after > 0 ? `  +${after} ms` : '';
    const why = typeof reason === 'string' ? `  ${printable(reason, 40)}` : '';
    return `    ${point}  ${printableValue(value)}${why}${late}`;
  });
  const more = readings.length - maxReadings;
  return more > 0 ? [...lines, `    … and ${countText(more)} readings more`] : lines;
}
