import type { Clock } from '../model/clock.ts';
import type { Condition } from '../model/condition.ts';
import type { Notes } from '../model/notes.ts';
import type { LineWriter } from './line-writer.ts';
import { type Level, lineKinds } from './log-catalogue.ts';
import type { Metrics } from './metrics.ts';

export interface NotesParts {
  readonly lines: LineWriter;
  readonly metrics: Metrics;
  readonly clock: Pick<Clock, 'monotonic'>;
}

/** Lines of one driver that are written at once, and then one in so many milliseconds. */
const driverLines = { burst: 60, everyMs: 1_000 };

const levelOfSeverity: Readonly<Record<Condition['severity'], Level>> = {
  info: 'info',
  warning: 'warn',
  error: 'error',
};

/** The notable events of the gateway: each function writes its log line and moves its counters. */
export function createNotes({ lines, metrics, clock }: NotesParts): Notes {
  const connectedBefore = new Set<string>();
  const allowDriverLine = driverLineLimit(clock);

  return {
    gatewayStarting({ version, config }) {
      lines.write(lineKinds.gatewayStarting, '', { version, config });
    },
    gatewayReady: (facts) => lines.write(lineKinds.gatewayReady, '', facts),
    gatewayStopping: (facts) => lines.write(lineKinds.gatewayStopping, '', facts),
    gatewayStopped: (facts) => lines.write(lineKinds.gatewayStopped, '', facts),

    configApplied(facts) {
      metrics.count('riser_config_applied_total', 1, { result: 'applied' });
      lines.write(lineKinds.configApplied, facts.revision, facts);
    },
    configRejected(facts) {
      metrics.count('riser_config_applied_total', 1, { result: 'rejected' });
      lines.write(lineKinds.configRejected, facts.first, facts);
    },

    driverStarted: (facts) =>
      lines.write(lineKinds.driverStarted, facts.plugin, {
        plugin: facts.plugin,
        driver_pid: facts.pid,
      }),
    driverExited(facts) {
      metrics.count('riser_driver_exits_total', 1, {
        plugin: metrics.capped('plugin', facts.plugin),
      });
      lines.write(lineKinds.driverExited, facts.plugin, facts);
    },
    driverHung: (facts) => lines.write(lineKinds.driverHung, facts.plugin, facts),
    driverFailed: (facts) => lines.write(lineKinds.driverFailed, facts.plugin, facts),
    driverLog({ plugin, level, message, fields }) {
      if (level !== 'debug' && !allowDriverLine(plugin)) {
        metrics.count('riser_log_lines_total', 1, { result: 'held' });
        return;
      }
      // The text is the driver's: it is a field, and part of the subject so that two texts do not hold back each other.
      const subject = `${plugin} ${message.slice(0, 80)}`;
      lines.write(lineKinds.driverLog, subject, { plugin, text: message, facts: fields }, level);
    },
    driverMetric({ plugin, name, value, labels }) {
      metrics.driver(metrics.capped('plugin', plugin), name, value, labels);
    },

    linkOpened: (facts) => lines.write(lineKinds.linkOpened, facts.link, facts),
    linkFailed: ({ link, reason, message }) =>
      lines.write(lineKinds.linkFailed, link, { link, reason, text: message }),
    deviceOnline: (facts) => lines.write(lineKinds.deviceOnline, facts.device, facts),
    deviceOffline: ({ device, reason, message }) =>
      lines.write(lineKinds.deviceOffline, device, { device, reason, text: message }),

    readingsAccepted({ tenant, lane, count }) {
      metrics.count('riser_readings_accepted_total', count, { tenant, lane });
    },
    readingsUnchanged: ({ count }) => metrics.count('riser_readings_unchanged_total', count),
    readingsByQuality({ good, uncertain, bad }) {
      metrics.count('riser_readings_quality_total', good, { quality: 'good' });
      metrics.count('riser_readings_quality_total', uncertain, { quality: 'uncertain' });
      metrics.count('riser_readings_quality_total', bad, { quality: 'bad' });
    },
    readingsDropped({ link, count }) {
      metrics.count('riser_readings_dropped_total', count, { link: metrics.capped('link', link) });
      lines.write(lineKinds.readingsDropped, link, { link, count });
    },
    readingsRefused({ reason, count }) {
      metrics.count('riser_readings_rejected_total', count, {
        reason: metrics.capped('reason', reason),
      });
      lines.write(lineKinds.readingsRefused, reason, { reason, count });
    },

    outboxOpened: (facts) => lines.write(lineKinds.outboxOpened, facts.path, facts),
    outboxCommitted({ events, bytes, ms }) {
      metrics.count('riser_outbox_commits_total');
      metrics.count('riser_outbox_committed_events_total', events);
      metrics.count('riser_outbox_committed_bytes_total', bytes);
      metrics.observe('riser_outbox_commit_duration_seconds', ms / 1_000);
    },
    outboxUnavailable(facts) {
      lines.write(lineKinds.outboxUnavailable, '', facts);
    },
    outboxRecovered: () => lines.write(lineKinds.outboxRecovered, '', {}),
    outboxEvicted(facts) {
      const { tenant, lane, events } = facts;
      const reason = metrics.capped('reason', facts.reason);
      metrics.count('riser_outbox_gap_events_total');
      metrics.count('riser_outbox_lost_events_total', events, { tenant, lane, reason });
      lines.write(lineKinds.outboxEvicted, `${tenant} ${lane}`, facts);
    },
    outboxQuarantined: (facts) => lines.write(lineKinds.outboxQuarantined, facts.from, facts),
    outboxParked(facts) {
      metrics.count('riser_outbox_parked_events_total', facts.n, {
        consumer: metrics.capped('consumer', facts.consumer),
      });
      lines.write(lineKinds.outboxParked, facts.consumer, facts);
    },
    checksumFailed(facts) {
      metrics.count('riser_outbox_checksum_errors_total');
      lines.write(lineKinds.checksumFailed, '', facts);
    },

    uplinkConnecting: (facts) => lines.write(lineKinds.uplinkConnecting, facts.tenant, facts),
    uplinkConnected(facts) {
      const { tenant } = facts;
      if (connectedBefore.has(tenant)) {
        metrics.count('riser_upstream_reconnects_total', 1, { tenant });
      }
      // Bounded: tenants are those of the configuration.
      connectedBefore.add(tenant);
      lines.write(lineKinds.uplinkConnected, tenant, facts);
    },
    uplinkDown({ tenant, code, message, retryInMs }) {
      metrics.count('riser_upstream_disconnects_total', 1, { code: metrics.capped('code', code) });
      lines.write(lineKinds.uplinkDown, `${tenant} ${code}`, {
        tenant,
        error: code,
        text: message,
        retryInMs,
      });
    },
    uplinkRejected(facts) {
      metrics.count('riser_publish_total', 1, {
        result: 'rejected',
        reason_code: metrics.capped('reason_code', String(facts.reasonCode)),
      });
      lines.write(lineKinds.uplinkRejected, `${facts.tenant} ${facts.reasonCode}`, facts);
    },
    published({ events, bytes }) {
      metrics.count('riser_publish_total', events, { result: 'sent', reason_code: '' });
      metrics.count('riser_publish_bytes_total', bytes);
    },
    acked({ events, latencyMs }) {
      metrics.count('riser_publish_total', events, { result: 'acked', reason_code: '' });
      if (latencyMs !== undefined) {
        metrics.observe('riser_event_end_to_end_seconds', latencyMs / 1_000);
      }
    },
    commandRefused(facts) {
      metrics.count('riser_commands_refused_total', 1, {
        reason: metrics.capped('reason', facts.reason),
      });
      lines.write(lineKinds.commandRefused, `${facts.tenant} ${facts.reason}`, facts);
    },

    conditionRaised(condition) {
      const level = levelOfSeverity[condition.severity];
      lines.write(lineKinds.conditionRaised, aboutOf(condition), conditionFields(condition), level);
    },
    conditionCleared(condition) {
      lines.write(lineKinds.conditionCleared, aboutOf(condition), conditionFields(condition));
    },

    moduleFailed(facts) {
      metrics.count('riser_failures_total', 1, { kind: 'module' });
      lines.write(lineKinds.moduleFailed, facts.module, withError(facts));
    },
    jobFailed(facts) {
      metrics.count('riser_failures_total', 1, { kind: 'job' });
      lines.write(lineKinds.jobFailed, facts.job, withError(facts));
    },
    partFailed(facts) {
      metrics.count('riser_failures_total', 1, { kind: 'part' });
      lines.write(lineKinds.partFailed, facts.part, withError(facts));
    },
    listenerFailed(facts) {
      metrics.count('riser_failures_total', 1, { kind: 'listener' });
      lines.write(lineKinds.listenerFailed, facts.event, withError(facts));
    },
    requestServed(facts) {
      metrics.count('riser_http_requests_total', 1, {
        route: metrics.capped('route', facts.route),
        status: metrics.capped('status', String(facts.status)),
      });
      lines.write(lineKinds.requestServed, facts.route, facts);
    },
    summary: (facts) => lines.write(lineKinds.summary, '', facts),
  };
}

const aboutOf = ({ code, subject }: Condition) => `${code} ${subject}`;

function conditionFields({ code, subject, severity, text, remedy, runbook, since }: Condition) {
  return {
    condition: code,
    subject,
    severity,
    text,
    remedy,
    runbook,
    since: new Date(since).toISOString(),
  };
}

/** The name under which log viewers look for an error. */
function withError<Facts extends { readonly error: unknown }>({ error, ...facts }: Facts) {
  return { ...facts, err: error };
}

/** A driver writes what it likes; each gets its share of lines. */
function driverLineLimit(clock: Pick<Clock, 'monotonic'>): (plugin: string) => boolean {
  const buckets = new Map<string, { tokens: number; at: number }>();
  return (plugin) => {
    const now = clock.monotonic();
    const bucket = buckets.get(plugin) ?? { tokens: driverLines.burst, at: now };
    if (buckets.size < 100) buckets.set(plugin, bucket);
    const earned = (now - bucket.at) / driverLines.everyMs;
    bucket.tokens = Math.min(driverLines.burst, bucket.tokens + earned);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  };
}
