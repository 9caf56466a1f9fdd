import type { Condition } from '../model/condition.ts';
import type { GatewayStatus } from '../model/status.ts';
import type { UplinkStatus } from '../model/uplink.ts';
import { printable } from './printable.ts';
import { block, cut, hanging } from './text-block.ts';
import { ageText, bytesText, countText, momentText, ordinal, percentText } from './words.ts';

export interface StatusTextOptions {
  /** Wall clock, milliseconds since 1970: conditions carry the time at which they began. */
  readonly now: number;
  /** Columns; 80 unless told. */
  readonly width?: number;
  /** Conditions that are printed in full; the others are counted. */
  readonly maxConditions?: number;
  /** Colours a finished line; its width must not change. */
  readonly paint?: (style: 'bold' | 'red' | 'yellow' | 'green', text: string) => string;
}

const urgency = { error: 0, warning: 1, info: 2 } as const;

/** Uplinks that get a line of their own. */
const maxUplinks = 6;

/** The gateway at one look, at most 80 columns wide. What needs attention comes last: the end is what stays on the screen. */
export function statusText(status: GatewayStatus, options: StatusTextOptions): string {
  const width = options.width ?? 80;
  const paint = options.paint ?? ((_style, text) => text);
  const lines = [
    paint('bold', cut(headline(status), width)),
    ...block('Collecting', collecting(status), width),
    ...(status.links.length > 0 ? block('Links', links(status), width) : []),
    ...block('Upstream', upstream(status.uplinks), width),
    ...block('Outbox', outbox(status), width),
    ...(status.drivers.length > 0 ? block('Drivers', drivers(status), width) : []),
    ...(status.modules.length > 0 ? block('Modules', modules(status), width) : []),
    ...(status.clockSynced ? [] : block('Clock', ['not synchronised'], width)),
  ];

  const conditions = status.conditions.toSorted(
    (a, b) => urgency[a.severity] - urgency[b.severity] || a.since - b.since,
  );
  if (conditions.length === 0) {
    lines.push(paint('green', 'Nothing needs attention.'));
    return `${lines.join('\n')}\n`;
  }
  const max = options.maxConditions ?? 10;
  lines.push(paint('bold', `Needs attention (${conditions.length})`));
  for (const condition of conditions.slice(0, max)) {
    const [first, ...rest] = conditionLines(condition, options.now, width);
    lines.push(paint(condition.severity === 'error' ? 'red' : 'yellow', first ?? ''), ...rest);
  }
  const hidden = conditions.length - max;
  if (hidden > 0) lines.push(`   … and ${hidden} more: riser status --all`);
  return `${lines.join('\n')}\n`;
}

function headline(status: GatewayStatus): string {
  const title = printable(status.title, 40);
  return [
    `riser ${printable(status.version, 30)}`,
    printable(status.gateway, 63),
    ...(title === '' ? [] : [`"${title}"`]),
    ...(status.mode === 'running' ? [] : [status.mode]),
    `up ${ageText(status.upMs)}`,
  ].join('  ');
}

function collecting(status: GatewayStatus): readonly string[] {
  const answering = status.devices.filter(
    ({ state }) => state === 'online' || state === 'degraded',
  ).length;
  const { total, fresh, good } = status.points;
  if (status.devices.length === 0) return ['no device is configured'];
  return [
    `${countText(answering)} of ${countText(status.devices.length)} devices`,
    `${countText(fresh)} of ${countText(total)} points fresh`,
    ...(good < fresh ? [`${countText(good)} good`] : []),
  ];
}

function links(status: GatewayStatus): readonly string[] {
  const open = status.links.filter(({ state }) => state === 'open').length;
  const busiest = status.links.toSorted((a, b) => b.load - a.load)[0];
  return [
    `${countText(open)} of ${countText(status.links.length)} open`,
    ...(busiest === undefined
      ? []
      : [`busiest ${printable(busiest.link, 63)} ${percentText(busiest.load, 1)}`]),
  ];
}

function upstream(uplinks: readonly UplinkStatus[]): readonly string[] {
  if (uplinks.length === 0) return ['off; readings are kept here'];
  const several = uplinks.length > 1;
  const lines = uplinks
    .slice(0, maxUplinks)
    .map((uplink) => `${several ? `${printable(uplink.tenant, 63)} ` : ''}${uplinkText(uplink)}`);
  const hidden = uplinks.length - maxUplinks;
  return hidden > 0 ? [...lines, `and ${hidden} tenants more: riser status --json`] : lines;
}

function uplinkText(uplink: UplinkStatus): string {
  const url = printable(uplink.url ?? 'the broker', 120);
  const age = ageText(uplink.forMs);
  const detail = uplink.detail === undefined ? '' : `: ${printable(uplink.detail, 200)}`;
  switch (uplink.state) {
    case 'off':
      return 'off; readings are kept here';
    case 'connecting':
      return `connecting to ${url} for ${age}${detail}`;
    case 'waiting':
      return `not connected to ${url} for ${age}${detail}`;
    case 'connected':
      return `connected to ${url} for ${age}${
        uplink.lastAckAgeMs === undefined
          ? ', nothing acked yet'
          : `, last ack ${ageText(uplink.lastAckAgeMs)} ago`
      }`;
  }
}

function outbox({ outbox: stats }: GatewayStatus): readonly string[] {
  const oldest = stats.oldestAgeMs === undefined ? '' : ` (oldest ${ageText(stats.oldestAgeMs)})`;
  return [
    `${countText(stats.pending)} waiting${oldest}`,
    `${countText(stats.deadLetters)} dead`,
    ...(stats.lost > 0 ? [`${countText(stats.lost)} lost`] : []),
    `${percentText(stats.fileBytes + stats.walBytes, stats.maxBytes)} of ${bytesText(stats.maxBytes)}`,
  ];
}

function drivers(status: GatewayStatus): readonly string[] {
  return status.drivers.map(({ plugin, state, restarts, detail }) => {
    const words = state === 'running' ? 'ok' : state;
    const again = restarts > 0 ? ` (${ordinal(restarts)} restart)` : '';
    const why = state === 'running' || detail === undefined ? '' : `: ${printable(detail, 120)}`;
    return `${printable(plugin, 63)} ${words}${again}${why}`;
  });
}

function modules(status: GatewayStatus): readonly string[] {
  return status.modules.map(
    ({ name, state, detail }) =>
      `${printable(name, 63)} ${printable(state, 30)}${detail === undefined ? '' : `: ${printable(detail, 120)}`}`,
  );
}

function conditionLines(condition: Condition, now: number, width: number): readonly string[] {
  const subject = printable(condition.subject, 63);
  const title = printable(condition.title, 120);
  const age = `${ageText(now - condition.since)}, since ${momentText(condition.since, now)}`;
  return [
    ...hanging(' ! ', `${subject === '' ? '' : `${subject}: `}${title} (${age})`, width),
    ...hanging('   ', printable(condition.text, 400), width),
    ...hanging('   → ', printable(condition.remedy, 400), width),
  ];
}
