import { locateInYaml, type PlaceFinder } from './locate-in-yaml.ts';
import type { Part, Place } from './place.ts';
import { nearest } from './suggest.ts';

const nowhere: Place = { line: 0, column: 0 };

/** Longest part of a line that is shown. */
const excerptLength = 240;

/** One file of a configuration, as text. Positions are worked out only when somebody asks. */
export class SourceFile {
  /** As a technician knows it: relative to the folder of the configuration. */
  readonly name: string;
  readonly text: string;
  /** Whether pointers can be looked up: the text is YAML. */
  private readonly yaml: boolean;
  private starts: number[] | undefined;
  private finder: PlaceFinder | undefined;

  constructor(name: string, text: string, yaml: boolean) {
    this.name = name;
    this.text = text;
    this.yaml = yaml;
  }

  /** Place of an entry, or of the nearest one above it that exists. */
  locate(pointer: string, part: Part): Place {
    if (!this.yaml) return nowhere;
    this.finder ??= locateInYaml(this.text);
    return this.placeAt(this.finder(pointer, part));
  }

  /** What stands at an entry, up to the end of its line. */
  sourceOf(pointer: string): string {
    if (!this.yaml) return '';
    this.finder ??= locateInYaml(this.text);
    const start = this.finder(pointer, 'value');
    const end = this.text.indexOf('\n', start);
    return this.text.slice(start, end === -1 ? undefined : end);
  }

  placeAt(offset: number): Place {
    const starts = this.lineStarts();
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  }

  /** A line from 1, safe to print: no control characters, no secrets, cut when long. */
  excerpt(line: number): string | undefined {
    const start = this.lineStarts()[line - 1];
    if (start === undefined) return undefined;
    const end = this.text.indexOf('\n', start);
    const full = this.text.slice(start, end === -1 ? undefined : end);
    // Cut first: what follows takes a time that grows faster than the line.
    return withoutSecrets(printable(full.slice(0, excerptLength)));
  }

  private lineStarts(): number[] {
    if (this.starts === undefined) {
      this.starts = [0];
      for (let at = this.text.indexOf('\n'); at !== -1; at = this.text.indexOf('\n', at + 1)) {
        this.starts.push(at + 1);
      }
    }
    return this.starts;
  }
}

/** Text of unknown origin, made safe for a terminal; passwords in addresses are taken out. */
export function printable(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
      .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, ' ')
      .trimEnd()
      .replace(/(\/\/[^\s:/@]*:)\S+@/g, '$1***@')
  );
}

const secretWords = ['password', 'passphrase', 'secret', 'token'];

/** Text of a file that others may read in a log: nothing after a key that sounds like a secret, however it is spelt. */
export function withoutSecrets(line: string): string {
  for (const match of line.matchAll(/([\w-]+)["']?\s*[:=]\s*/g)) {
    const [whole, key = ''] = match;
    const sensitive =
      /pass|pwd|secret|token|private/i.test(key) || nearest(key, secretWords) !== undefined;
    const end = match.index + whole.length;
    if (sensitive && end < line.length && line[end] !== '{') return `${line.slice(0, end)}***`;
  }
  return line;
}
