/** A place in a file, both from 1; 0 when the whole file is meant. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** The key of an entry, or what stands behind it. */
export type Part = 'key' | 'value';
