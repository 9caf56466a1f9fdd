import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type ConditionCode, conditionKinds } from '../src/model/condition.ts';
import { remedies } from '../src/model/errors.ts';
import { lineKinds } from '../src/telemetry/log-catalogue.ts';
import { type MetricKind, metricKinds } from '../src/telemetry/metric-catalogue.ts';

const root = path.join(import.meta.dirname, '..');

/** Pages of docs/reference that are made from the catalogues, by their path; a test compares them. */
export function referencePages(): ReadonlyMap<string, string> {
  return new Map([
    ['docs/reference/errors.md', errorsPage()],
    ['docs/reference/conditions.md', conditionsPage()],
    ['docs/reference/metrics.md', metricsPage()],
    ['docs/reference/log.md', logPage()],
  ]);
}

function errorsPage(): string {
  return page('Errors', 'src/model/errors.ts', [
    'Every failure that the gateway can name. A code is never used twice and never changes its meaning.',
    table(
      ['code', 'what to do'],
      Object.entries(remedies).map(([code, remedy]) => [`\`${code}\``, remedy]),
    ),
  ]);
}

function conditionsPage(): string {
  const rows = (Object.keys(conditionKinds) as ConditionCode[]).map((code) => {
    const { title, severity, remedy, dependsOn = [], timeToVisibleMs = 0 } = conditionKinds[code];
    return [
      `[\`${code}\`](../runbooks/${code}.md)`,
      severity,
      title,
      remedy,
      timeToVisibleMs === 0 ? 'at once' : `after ${timeToVisibleMs / 1_000} s`,
      dependsOn.map((cause) => `\`${cause}\``).join(', '),
    ];
  });
  return page('Conditions', 'src/model/condition.ts', [
    'States of health, as `riser status`, the page, the log, the metric `riser_condition_active` and the event `riser.condition.v1` name them. Each is announced once when it begins and once when it ends. It is hidden while one of its causes explains it.',
    table(['code', 'severity', 'title', 'what to do', 'shown', 'hidden by'], rows),
  ]);
}

function metricsPage(): string {
  const rows = Object.entries(metricKinds).map(([name, kind]: [string, MetricKind]) => [
    `\`${name}\``,
    kind.type,
    (kind.labels ?? []).map((label) => `\`${label}\``).join(', '),
    kind.help,
  ]);
  return page('Metrics', 'src/telemetry/metric-catalogue.ts', [
    '`/metrics` gives these in the text format of Prometheus. Base units are seconds and bytes. Label values that come from outside are limited: beyond the hundredth they count as `other`.',
    table(['name', 'type', 'labels', 'meaning'], rows),
    '## Others',
    '- `riser_driver_*`: numbers of the drivers, with the label `plugin` and those that the driver gives; at most 1000 series in all. Names that end in `_total` are counters, others gauges.\n- `process_*`, `nodejs_*`: of the process, as prom-client names them.',
  ]);
}

function logPage(): string {
  const rows = Object.values(lineKinds).map(({ code, level, component, message, when }) => [
    `\`${code}\``,
    level,
    component,
    message,
    when,
  ]);
  return page('Log', 'src/telemetry/log-catalogue.ts', [
    'One line of JSON for each notable event, on standard output (`journalctl -u riser -o cat`). `msg` is constant, the particulars are fields; `code` is stable. Readings, commits and publishes are counted and not logged.',
    'Fields of each line: `level`, `time`, `gateway`, `code`, `component`, `msg`. An error is in `err` with `type`, `message`, `code`, `remedy`, `facts`, `cause` and `stack`. Lines are at most 8 KiB. Secrets stand as `***`.',
    'Of each kind and subject at most one line a minute is written; the next one tells in `more` how many were held back.',
    table(['code', 'level', 'component', 'message', 'written when'], rows),
  ]);
}

function page(title: string, source: string, parts: readonly string[]): string {
  return [
    `<!-- Made by tools/generate-reference.ts from ${source}; do not edit. -->`,
    `# ${title}`,
    ...parts,
  ]
    .join('\n\n')
    .concat('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

if (import.meta.main) {
  for (const [name, content] of referencePages()) {
    const full = path.join(root, name);
    mkdirSync(path.dirname(full), { recursive: true });
    writeFileSync(full, content);
  }
}
