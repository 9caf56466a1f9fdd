import type { Reading } from '../model/reading.ts';

/** A batch is closed at this many readings … */
export const batchMaxReadings = 500;
/** … or at about this many bytes of data. */
export const batchMaxBytes = 128 * 1024;

/** Longest a character of JSON text can become in bytes is counted as its length: ASCII is the rule. */
const bytesPerReading = 24;

/** Readings of one tenant and lane on their way into one batch. */
export class ReadingsBatch {
  readonly #indexOf = new Map<string, number>();
  readonly #readings: Reading[] = [];
  #bytes = 0;

  get size(): number {
    return this.#readings.length;
  }

  get full(): boolean {
    return this.#readings.length >= batchMaxReadings || this.#bytes >= batchMaxBytes;
  }

  get readings(): readonly Reading[] {
    return this.#readings;
  }

  add(reading: Reading): void {
    if (!this.#indexOf.has(reading.point)) {
      this.#indexOf.set(reading.point, this.#indexOf.size);
      this.#bytes += reading.point.length + 3;
    }
    this.#bytes += bytesPerReading + (typeof reading.value === 'string' ? reading.value.length : 0);
    this.#readings.push(reading);
  }

  /** The `data` of a riser.readings.v1 event as JSON text; written by hand, because it is the hot path. */
  encode(): { readonly time: number; readonly data: string } {
    let t0 = Number.POSITIVE_INFINITY;
    for (const { time } of this.#readings) if (time < t0) t0 = time;
    let points = '';
    for (const point of this.#indexOf.keys())
      points += points === '' ? `"${point}"` : `,"${point}"`;
    let rows = '';
    for (const reading of this.#readings) {
      const { value } = reading;
      const text = typeof value === 'string' ? JSON.stringify(value.toWellFormed()) : String(value);
      const reason = reading.reason === undefined ? '' : `,"${reading.reason}"`;
      const row = `[${this.#indexOf.get(reading.point)},${reading.time - t0},${text}${reason}]`;
      rows += rows === '' ? row : `,${row}`;
    }
    return { time: t0, data: `{"n":${this.size},"t0":${t0},"points":[${points}],"r":[${rows}]}` };
  }
}
