import type { LatestValue } from '../../model/field.ts';
import type { DemoVerdict } from './demo-judge.ts';

/** What one picture of the demo shows. */
export interface DemoPicture {
  readonly seconds: number;
  readonly upstream: string;
  readonly socket: string;
  readonly values: readonly LatestValue[];
  readonly stored: number;
  readonly waiting: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly verdict: DemoVerdict;
  /** One sentence each: what needs attention. */
  readonly attention: readonly string[];
}

/** Rows of each device that are shown; the rest is a number. */
const rowsPerDevice = 5;

/** One picture as text, at most 80 columns wide. */
export function renderDemo(picture: DemoPicture): string {
  const { seconds, upstream, verdict } = picture;
  return [
    `Riser demo, ${Math.floor(seconds)} s   upstream ${upstream}   Ctrl-C ends it`,
    '',
    row('DEVICE', 'POINT', 'VALUE', 'AGE', 'QUALITY'),
    ...deviceRows(picture.values),
    '',
    `Outbox      ${count(picture.waiting)} waiting   ${count(picture.stored)} stored`,
    `Received    ${count(picture.received)}   lost ${picture.lost}   duplicates ${picture.duplicates}   wrong ${verdict.wrong}`,
    `Quality     ${count(verdict.good)} good   ${count(verdict.uncertain)} uncertain   ${count(verdict.bad)} bad (on purpose: "moody" misbehaves)`,
    ...picture.attention.map((sentence) => `  ! ${sentence}`.slice(0, 80)),
    `More: npm run riser -- status --socket ${picture.socket}`,
    '',
  ].join('\n');
}

function deviceRows(values: readonly LatestValue[]): string[] {
  const byDevice = Map.groupBy(values, ({ device }) => device);
  return [...byDevice.values()].flatMap((ofDevice) => {
    // What is not good comes first: it is what one wants to see.
    const sorted = ofDevice.toSorted(
      (a, b) => Number(a.quality === 'good') - Number(b.quality === 'good'),
    );
    const more = ofDevice.length - rowsPerDevice;
    return [
      ...sorted.slice(0, rowsPerDevice).map(valueRow),
      ...(more > 0 ? [row('', `… ${more} more`, '', '', '')] : []),
    ];
  });
}

function valueRow(value: LatestValue): string {
  const name = value.point.slice(value.device.length + 1);
  const shown = value.value === null ? '–' : `${value.value} ${value.unit ?? ''}`.trim();
  const quality = value.reason === undefined ? value.quality : `${value.quality}: ${value.reason}`;
  return row(
    value.device,
    name,
    shown,
    `${(value.ageMs / 1000).toFixed(1)} s`,
    value.stale ? 'stale' : quality,
  );
}

function row(device: string, point: string, value: string, age: string, quality: string): string {
  return `${device.padEnd(7)} ${point.padEnd(24)} ${value.slice(0, 18).padStart(18)} ${age.padStart(7)}  ${quality}`
    .slice(0, 80)
    .trimEnd();
}

function count(n: number): string {
  return n.toLocaleString('en').replaceAll(',', ' ');
}
