import type { Finding } from '../model/site.ts';

/** What `riser config validate --format` can be. */
export type FindingFormat = 'text' | 'json' | 'github';

/** Findings as text for a terminal, as JSON for programs, or as annotations of GitHub. Ends with a newline. */
export function formatFindings(findings: readonly Finding[], format: FindingFormat): string {
  switch (format) {
    case 'text':
      return asText(findings);
    case 'json':
      return asJson(findings);
    case 'github':
      return findings.map(asAnnotation).join('');
  }
}

/** "2 errors, 1 warning in 3 files", or that all is well. */
export function summarizeFindings(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'No errors, no warnings.';
  const errors = findings.filter((finding) => finding.severity === 'error').length;
  const warnings = findings.length - errors;
  const files = new Set(findings.map((finding) => finding.file)).size;
  const counts = [
    errors === 0 ? undefined : plural(errors, 'error'),
    warnings === 0 ? undefined : plural(warnings, 'warning'),
  ];
  return `${counts.filter((count) => count !== undefined).join(', ')} in ${plural(files, 'file')}.`;
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

function asText(findings: readonly Finding[]): string {
  const lines = findings.flatMap((finding) => {
    const where =
      finding.line === 0 ? finding.file : `${finding.file}:${finding.line}:${finding.column}`;
    const subject = finding.pointer === '' ? '' : ` ${finding.pointer}`;
    const hint = finding.hint === undefined ? '' : ` — ${finding.hint}`;
    const head = `${where} ${finding.severity} ${finding.code}${subject}: ${finding.message}${hint}`;
    return [head.trimStart(), ...excerptOf(finding)];
  });
  return [...lines, summarizeFindings(findings), ''].join('\n');
}

/** The line and a caret below what is meant; only the part around it when the line is long. */
function excerptOf({ excerpt, line, column }: Finding): readonly string[] {
  if (excerpt === undefined || line === 0) return [];
  const number = String(line).padStart(5);
  const from = column > 70 ? column - 40 : 0;
  const shown = excerpt.slice(from, from + 100);
  const caret = column - 1 - from;
  const under =
    caret < 0 || caret > shown.length ? [] : [`${' '.repeat(5)} | ${' '.repeat(caret)}^`];
  return [`${number} | ${shown}`, ...under];
}

function asJson(findings: readonly Finding[]): string {
  const errors = findings.filter((finding) => finding.severity === 'error').length;
  const document = {
    schema: 'riser.config-validation/1',
    valid: errors === 0,
    errors,
    warnings: findings.length - errors,
    findings,
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function asAnnotation(finding: Finding): string {
  const place = finding.line === 0 ? '' : `,line=${finding.line},col=${finding.column}`;
  const hint = finding.hint === undefined ? '' : ` — ${finding.hint}`;
  const text = `${finding.pointer === '' ? '' : `${finding.pointer}: `}${finding.message}${hint}`;
  return `::${finding.severity} file=${property(finding.file)}${place},title=${property(finding.code)}::${data(text)}\n`;
}

/** A line break in a file name must not begin a command of its own. */
function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
