import type { YAMLException } from 'js-yaml';
import { LineCounter, parseAllDocuments, type YAMLParseError } from 'yaml';
import type { FindingCode } from './finding-codes.ts';
import type { FindingList } from './finding-list.ts';
import type { Place } from './place.ts';
import type { SourceFile } from './source-file.ts';

/** Errors of one text that are listed; after ten the rest are mostly consequences. */
const shown = 10;

/** Longest text that is explained in full, in characters. */
const explainLimit = 128 * 1024;

function tooDeep(first: YAMLException | undefined): boolean {
  return first !== undefined && /depth|nest/.test(first.reason);
}

/** Says everything that is wrong with a text that is no YAML, each with its place. */
export function explainYaml(
  file: SourceFile,
  first: YAMLException | undefined,
  findings: FindingList,
): void {
  let told = 0;
  const tell = (code: FindingCode, place: Place, message: string, hint?: string) => {
    if (told++ >= shown) return;
    findings.add({ code, at: file, place, message, ...(hint === undefined ? {} : { hint }) });
  };
  // The explaining library takes minutes for a large or deeply nested ruin; there the first error is enough.
  const explainable = file.text.length <= explainLimit && !tooDeep(first);
  try {
    if (!explainable) throw new RangeError('too large');
    const lines = new LineCounter();
    const documents = parseAllDocuments(file.text, {
      lineCounter: lines,
      prettyErrors: false,
      logLevel: 'silent',
      version: '1.2',
    });
    for (const document of documents.slice(0, 2)) {
      for (const error of document.errors) {
        const { line, col } = lines.linePos(error.pos[0]);
        const place = { line: Math.max(line, 1), column: Math.max(col, 1) };
        tell(codeOf(error), place, inWords(error), hintOf(error, file.text));
      }
    }
    if (told === 0 && documents.length > 1) {
      const start = documents[1]?.range?.[0] ?? 0;
      tell(
        'E1103',
        file.placeAt(start),
        'a second document begins here; a file has one',
        'put it into a file of its own',
      );
    }
  } catch {
    // There will be no explanation; the first error of the reading one is told below.
  }
  if (told > 0) return;
  const place =
    first?.mark === undefined
      ? { line: 1, column: 1 }
      : { line: first.mark.line + 1, column: first.mark.column + 1 };
  const reason = first?.reason ?? 'it cannot be read';
  if (reason.startsWith('unidentified alias')) {
    tell('E1101', place, words.BAD_ALIAS ?? reason, hints.BAD_ALIAS);
    return;
  }
  if (/^unknown .*tag/.test(reason)) {
    tell('E1101', place, words.TAG_RESOLVE_FAILED ?? '', hints.TAG_RESOLVE_FAILED);
    return;
  }
  const code = /alias/.test(reason) ? 'E1104' : tooDeep(first) ? 'E1106' : 'E1101';
  tell(code, place, `this is no YAML: ${reason}`);
}

function codeOf(error: YAMLParseError): FindingCode {
  if (error.code === 'DUPLICATE_KEY') return 'E1102';
  if (error.code === 'MULTIPLE_DOCS') return 'E1103';
  return 'E1101';
}

const words: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'this alias has no anchor (&name) before it',
  BAD_INDENT: 'this line is indented differently from its neighbours',
  BLOCK_AS_IMPLICIT_KEY: 'a list or group of keys begins on the line of its key',
  BLOCK_IN_FLOW: 'a bracket is still open here',
  DUPLICATE_KEY: 'this key stands twice in the same group',
  MISSING_CHAR: 'a character is missing: a colon, a space after it, a quotation mark or a bracket',
  TAB_AS_INDENT: 'a tab is used to indent',
  TAG_RESOLVE_FAILED: 'tags (!name) are not used here',
  UNEXPECTED_TOKEN: 'this does not fit here',
  KEY_OVER_1024_CHARS: 'a key is longer than 1 024 characters',
};

function inWords(error: YAMLParseError): string {
  const known = words[error.code];
  const detail = error.message.split('\n')[0] ?? '';
  // The library repeats the tag, which may be the beginning of a password.
  if (error.code === 'TAG_RESOLVE_FAILED') return known ?? '';
  return known === undefined ? `this is no YAML: ${detail}` : `${known} (${detail})`;
}

const hints: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'indent with spaces',
  BAD_ALIAS: 'put a text that begins with * in quotes',
  TAG_RESOLVE_FAILED: 'put a text that begins with ! in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a text with a colon needs quotes',
};

function hintOf(error: YAMLParseError, text: string): string | undefined {
  return (
    hints[error.code] ?? (text.startsWith('\t', error.pos[0]) ? hints.TAB_AS_INDENT : undefined)
  );
}
