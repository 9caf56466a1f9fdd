import type { Finding } from '../model/site.ts';
import type { FindingCode } from './finding-codes.ts';
import type { Part, Place } from './place.ts';
import { printable, SourceFile } from './source-file.ts';

/** Something that is wrong, before its place is looked up. */
export interface FindingDraft {
  readonly code: FindingCode;
  /** A driver's own code, shown instead. */
  readonly driverCode?: string;
  /** The file, or a name for what is no file: "environment". */
  readonly at: SourceFile | string;
  readonly pointer?: string;
  readonly part?: Part;
  /** Where known already; else it is looked up from the pointer. */
  readonly place?: Place;
  readonly message: string;
  readonly hint?: string;
  /** The line must not be shown: it holds a secret. */
  readonly secret?: boolean;
}

/** How many findings are kept; the rest is counted. */
export const maxFindings = 1_000;

/** Collects everything that is wrong; the same thing found twice is kept once. */
export class FindingList {
  private readonly drafts: FindingDraft[] = [];
  private readonly seen = new Set<string>();
  private left = 0;
  private errorCount = 0;

  /** How many errors there are so far, not counting warnings. */
  get errors(): number {
    return this.errorCount;
  }

  add(draft: FindingDraft): void {
    const file = typeof draft.at === 'string' ? draft.at : draft.at.name;
    const place = draft.place === undefined ? '' : `${draft.place.line}:${draft.place.column}`;
    const key = `${draft.code}\n${file}\n${draft.pointer ?? ''}\n${place}\n${draft.message}`;
    if (this.drafts.length >= maxFindings) {
      if (draft.code.startsWith('E')) this.errorCount++;
      this.left++;
      return;
    }
    if (this.seen.has(key)) return;
    this.seen.add(key);
    this.drafts.push(draft);
    if (draft.code.startsWith('E')) this.errorCount++;
  }

  /** Takes over what another list has found. */
  addAll(other: FindingList): void {
    for (const draft of other.drafts) this.add(draft);
  }

  /** All findings with their places, file by file, in the order of the lines. */
  list(): Finding[] {
    const order = new Map<string, number>();
    const found = this.drafts.map((draft) => {
      const finding = placed(draft);
      if (!order.has(finding.file)) order.set(finding.file, order.size);
      return finding;
    });
    found.sort(
      (a, b) =>
        (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0) ||
        a.line - b.line ||
        a.column - b.column,
    );
    if (this.left > 0) {
      found.push({
        severity: 'warning',
        code: 'W1999',
        file: '',
        line: 0,
        column: 0,
        pointer: '',
        message: `${this.left} more were found and are not listed`,
      });
    }
    return found;
  }
}

function placed(draft: FindingDraft): Finding {
  const pointer = draft.pointer ?? '';
  const file = draft.at instanceof SourceFile ? draft.at : undefined;
  const place = draft.place ??
    file?.locate(pointer, draft.part ?? 'value') ?? { line: 0, column: 0 };
  const excerpt = draft.secret === true || place.line === 0 ? undefined : file?.excerpt(place.line);
  return {
    severity: draft.code.startsWith('E') ? 'error' : 'warning',
    code: draft.driverCode ?? draft.code,
    file: file === undefined ? String(draft.at) : file.name,
    line: place.line,
    column: place.column,
    pointer: printable(shortened(pointer)),
    message: printable(shortened(draft.message)),
    ...(draft.hint === undefined ? {} : { hint: printable(shortened(draft.hint)) }),
    ...(excerpt === undefined ? {} : { excerpt }),
  };
}

/** Keys and values of a broken file can be as long as the file. */
function shortened(text: string): string {
  return text.length > 500 ? `${text.slice(0, 499)}…` : text;
}
