import { formatFindings } from '../config/format-findings.ts';
import { printable } from '../http/printable.ts';
import type { Finding } from '../model/site.ts';

/** Findings for a terminal. Files may come from anybody: no control character of theirs gets through. */
export function findingsText(findings: readonly Finding[]): string {
  return formatFindings(findings.map(safe), 'text');
}

function safe(finding: Finding): Finding {
  return {
    ...finding,
    file: printable(finding.file, 200),
    pointer: printable(finding.pointer, 300),
    message: printable(finding.message, 1_000),
    ...(finding.hint === undefined ? {} : { hint: printable(finding.hint, 500) }),
    // Columns must stay where they are for the caret.
    ...(finding.excerpt === undefined
      ? {}
      : { excerpt: finding.excerpt.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, ' ') }),
  };
}
