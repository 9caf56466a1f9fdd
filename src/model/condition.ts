/**
 * Named states of health. One catalogue for log, page, CLI, metrics and upstream. A code is part of
 * the public interface and never used twice; docs/runbooks/<code>.md exists for each.
 */
export type Severity = 'info' | 'warning' | 'error';

export interface ConditionKind {
  readonly title: string;
  readonly severity: Severity;
  /** What to do next, for a technician. */
  readonly remedy: string;
  /** While one of these is active above the subject (or for the whole gateway) this one is hidden: it is a consequence. */
  readonly dependsOn?: readonly ConditionCode[];
  /** Milliseconds that it must last before it is shown. */
  readonly timeToVisibleMs?: number;
}

export type ConditionCode =
  | 'config-invalid'
  | 'config-not-applied'
  | 'secret-unresolved'
  | 'plugin-invalid'
  | 'driver-down'
  | 'driver-failed'
  | 'link-down'
  | 'link-overloaded'
  | 'device-offline'
  | 'device-refuses-points'
  | 'outbox-unavailable'
  | 'outbox-full'
  | 'outbox-growing'
  | 'outbox-quarantined'
  | 'data-lost'
  | 'dead-letters'
  | 'upstream-off'
  | 'upstream-unreachable'
  | 'upstream-refused'
  | 'upstream-tls'
  | 'upstream-rejects'
  | 'certificate-expiring'
  | 'clock-unsynced'
  | 'disk-low'
  | 'module-failed'
  | 'job-failed';

export const conditionKinds: Readonly<Record<ConditionCode, ConditionKind>> = {
  'config-invalid': {
    title: 'The configuration has errors',
    severity: 'error',
    remedy: 'Run "riser config validate" and correct what it lists, then "riser config apply".',
  },
  'config-not-applied': {
    title: 'A change of the configuration needs a restart',
    severity: 'warning',
    remedy: 'Run "systemctl restart riser" when it suits; nothing is lost by it.',
  },
  'secret-unresolved': {
    title: 'A secret cannot be read',
    severity: 'error',
    remedy: 'Put the secret where the text says, then run "riser config apply".',
  },
  'plugin-invalid': {
    title: 'A plugin cannot be used',
    severity: 'error',
    remedy: 'Reinstall the plugin, or remove it from the plugins folder.',
  },
  'driver-down': {
    title: 'A driver process is being restarted',
    severity: 'warning',
    remedy: 'Nothing: it comes back by itself. If it happens again, report the log.',
    timeToVisibleMs: 2_000,
  },
  'driver-failed': {
    title: 'A driver process keeps failing',
    severity: 'error',
    remedy:
      'See "riser status" for the reason; it is tried again every five minutes. Report the log.',
  },
  'link-down': {
    title: 'A link cannot be opened',
    severity: 'error',
    remedy: 'Check network or serial adapter, then host and port of the link.',
    dependsOn: ['driver-down', 'driver-failed'],
    timeToVisibleMs: 5_000,
  },
  'link-overloaded': {
    title: 'A link is asked for more than it can carry',
    severity: 'warning',
    remedy: 'Lengthen the intervals of its groups; "riser config validate" says by how much.',
    dependsOn: ['link-down', 'device-offline'],
    timeToVisibleMs: 60_000,
  },
  'device-offline': {
    title: 'A device does not answer',
    severity: 'error',
    remedy: 'Check power and cabling of the device, then its unit id.',
    dependsOn: ['link-down', 'driver-down', 'driver-failed'],
  },
  'device-refuses-points': {
    title: 'A device refuses some of its points',
    severity: 'warning',
    remedy: 'Compare its profile with its register list; the other points are read.',
    dependsOn: ['device-offline', 'link-down', 'driver-down', 'driver-failed'],
    timeToVisibleMs: 30_000,
  },
  'outbox-unavailable': {
    title: 'Readings cannot be stored',
    severity: 'error',
    remedy: 'Check free space and mount state of the disk that holds the outbox.',
  },
  'outbox-full': {
    title: 'The outbox is full, and old readings are given up',
    severity: 'error',
    remedy: 'Restore the upstream connection, or raise outbox.maxBytes.',
  },
  'outbox-growing': {
    title: 'Readings wait longer than usual for the cloud',
    severity: 'warning',
    remedy: 'See the upstream part of "riser status".',
    dependsOn: ['upstream-unreachable', 'upstream-refused', 'upstream-tls', 'upstream-off'],
    timeToVisibleMs: 60_000,
  },
  'outbox-quarantined': {
    title: 'A damaged outbox file was set aside',
    severity: 'error',
    remedy: 'Keep the file that the text names; see its runbook for what can be saved.',
  },
  'data-lost': {
    title: 'Readings were given up, and the cloud was told which',
    severity: 'error',
    remedy: 'See "riser outbox status" for how many and why.',
  },
  'dead-letters': {
    title: 'The cloud refused events for good',
    severity: 'warning',
    remedy: 'See "riser outbox status"; report the reason to the operator of the cloud.',
  },
  'upstream-off': {
    title: 'No upstream is configured; readings are kept here',
    severity: 'warning',
    remedy: 'Set uplink.url in riser.yaml, then run "riser config apply".',
  },
  'upstream-unreachable': {
    title: 'The cloud cannot be reached; readings are kept here',
    severity: 'error',
    remedy: 'Check network, host name and port of uplink.url.',
    timeToVisibleMs: 5_000,
  },
  'upstream-refused': {
    title: 'The broker refuses this gateway; readings are kept here',
    severity: 'error',
    remedy: 'Check user name, password or client certificate for the broker.',
  },
  'upstream-tls': {
    title: 'The identity of the broker cannot be verified; readings are kept here',
    severity: 'error',
    remedy: 'Compare uplink.tls with the certificate of the broker, and the clock of the gateway.',
  },
  'upstream-rejects': {
    title: 'The broker does not accept what is published',
    severity: 'error',
    remedy: 'Check the rights of this gateway on the broker (topics riser/1/#).',
  },
  'certificate-expiring': {
    title: 'A certificate expires soon',
    severity: 'warning',
    remedy: 'Replace the certificate that the text names before the date.',
  },
  'clock-unsynced': {
    title: 'The clock is not synchronised',
    severity: 'warning',
    remedy: 'Check the time server; readings are marked, and corrected once it is synchronised.',
    timeToVisibleMs: 600_000,
  },
  'disk-low': {
    title: 'The disk is nearly full',
    severity: 'warning',
    remedy: 'Free space on the disk that holds /var/lib/riser.',
  },
  'module-failed': {
    title: 'A module of the gateway stopped',
    severity: 'warning',
    remedy: 'See the log; the collection of readings is not touched by it.',
  },
  'job-failed': {
    title: 'A background job failed',
    severity: 'warning',
    remedy: 'See the log; the job is tried again at its next time.',
  },
};

/** A condition as it stands now. */
export interface Condition {
  readonly code: ConditionCode;
  /** What it is about: a device, link, driver, tenant or file; empty for the gateway itself. */
  readonly subject: string;
  readonly severity: Severity;
  readonly title: string;
  /** The particulars, one sentence. */
  readonly text: string;
  readonly remedy: string;
  /** Path of its runbook in the documentation. */
  readonly runbook: string;
  /** Milliseconds since 1970 at which it began. */
  readonly since: number;
}

/** Where parts report states of health. */
export interface ConditionReporter {
  /**
   * Raises or refreshes a condition. `under` names the subjects above this one (link, driver), so
   * that consequences of one cause are shown once.
   */
  raise(
    code: ConditionCode,
    subject: string,
    text: string,
    options?: { readonly under?: readonly string[]; readonly remedy?: string },
  ): void;
  clear(code: ConditionCode, subject: string): void;
}
