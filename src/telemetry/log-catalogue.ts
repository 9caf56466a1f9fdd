import type { Notes } from '../model/notes.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** A kind of log line. Its code is part of the public interface and never used twice. */
export interface LineKind {
  readonly code: string;
  readonly level: Level;
  /** The part of the gateway that it tells of. */
  readonly component: string;
  /** Constant, lower case. The particulars are fields. */
  readonly message: string;
  /** For docs/reference/log.md: when it is written. */
  readonly when: string;
}

const line = (
  code: string,
  level: Level,
  component: string,
  message: string,
  when: string,
): LineKind => ({ code, level, component, message, when });

/** Notable events that only count: they would be written per reading. */
export type CountedOnly =
  | 'driverMetric'
  | 'readingsAccepted'
  | 'readingsUnchanged'
  | 'readingsByQuality'
  | 'outboxCommitted'
  | 'published'
  | 'acked';

/** Every log line of the gateway, by the notable event that writes it. */
export const lineKinds: Readonly<Record<Exclude<keyof Notes, CountedOnly>, LineKind>> = {
  gatewayStarting: line(
    'gateway-starting',
    'info',
    'gateway',
    'gateway is starting',
    'The daemon begins to start.',
  ),
  gatewayReady: line(
    'gateway-ready',
    'info',
    'gateway',
    'gateway is ready',
    'Everything is started and readings are collected.',
  ),
  gatewayStopping: line(
    'gateway-stopping',
    'info',
    'gateway',
    'gateway is stopping',
    'A signal or command asked the daemon to stop.',
  ),
  gatewayStopped: line(
    'gateway-stopped',
    'info',
    'gateway',
    'gateway has stopped',
    'Everything is closed; the last line of a run.',
  ),
  configApplied: line(
    'config-applied',
    'info',
    'config',
    'configuration applied',
    'A configuration took effect.',
  ),
  configRejected: line(
    'config-rejected',
    'error',
    'config',
    'configuration rejected',
    'A configuration has errors; the last good one stays in effect.',
  ),
  driverStarted: line(
    'driver-started',
    'info',
    'field',
    'driver process started',
    'A driver process has said hello.',
  ),
  driverExited: line(
    'driver-exited',
    'warn',
    'field',
    'driver process ended',
    'A driver process ended by itself; it is started again.',
  ),
  driverHung: line(
    'driver-hung',
    'error',
    'field',
    'driver process does not answer',
    'A driver process was silent too long and is killed.',
  ),
  driverFailed: line(
    'driver-failed',
    'error',
    'field',
    'driver process keeps failing',
    'A driver process failed so often that it is only tried every few minutes.',
  ),
  driverLog: line(
    'driver-log',
    'info',
    'driver',
    'driver says',
    'A line that a driver wrote; its level is the one of the driver.',
  ),
  linkOpened: line('link-opened', 'info', 'field', 'link opened', 'A link is open.'),
  linkFailed: line(
    'link-failed',
    'warn',
    'field',
    'link failed',
    'A link cannot be opened or broke; it is tried again.',
  ),
  deviceOnline: line(
    'device-online',
    'info',
    'field',
    'device answers',
    'A device answers, for the first time or again.',
  ),
  deviceOffline: line(
    'device-offline',
    'warn',
    'field',
    'device does not answer',
    'A device stopped answering; it is only probed from now on.',
  ),
  readingsDropped: line(
    'readings-dropped',
    'warn',
    'record',
    'readings conflated in the driver process',
    'The outbox did not keep up: newer readings of the same points took the place of these.',
  ),
  readingsRefused: line(
    'readings-refused',
    'warn',
    'record',
    'readings refused',
    'Readings were not accepted, and the driver process will offer them again.',
  ),
  outboxOpened: line(
    'outbox-opened',
    'info',
    'outbox',
    'outbox opened',
    'The outbox file is open and checked.',
  ),
  outboxUnavailable: line(
    'outbox-unavailable',
    'error',
    'outbox',
    'outbox cannot store',
    'Readings cannot be stored; the drivers keep the newest of each point.',
  ),
  outboxRecovered: line(
    'outbox-recovered',
    'info',
    'outbox',
    'outbox stores again',
    'The outbox stores again.',
  ),
  outboxEvicted: line(
    'outbox-evicted',
    'error',
    'outbox',
    'readings given up',
    'The outbox was full or readings too old; a gap event tells the cloud which were lost.',
  ),
  outboxQuarantined: line(
    'outbox-quarantined',
    'error',
    'outbox',
    'damaged outbox file set aside',
    'The outbox file was damaged; a new one was begun.',
  ),
  outboxParked: line(
    'outbox-parked',
    'warn',
    'outbox',
    'events set aside as dead letters',
    'The cloud refused events for good.',
  ),
  checksumFailed: line(
    'checksum-failed',
    'error',
    'outbox',
    'stored events are damaged',
    'A stored batch does not match its checksum; it is parked.',
  ),
  uplinkConnecting: line(
    'uplink-connecting',
    'debug',
    'uplink',
    'connecting upstream',
    'A connection to the broker is tried.',
  ),
  uplinkConnected: line(
    'uplink-connected',
    'info',
    'uplink',
    'connected upstream',
    'The broker has accepted the connection.',
  ),
  uplinkDown: line(
    'uplink-down',
    'warn',
    'uplink',
    'not connected upstream',
    'The connection to the broker broke or was refused; readings are kept here.',
  ),
  uplinkRejected: line(
    'uplink-rejected',
    'warn',
    'uplink',
    'broker refused an event',
    'The broker answered with a reason code of 128 or more.',
  ),
  commandRefused: line(
    'command-refused',
    'warn',
    'uplink',
    'command refused',
    'A command from the cloud was not carried out.',
  ),
  conditionRaised: line(
    'condition-raised',
    'warn',
    'health',
    'condition raised',
    'A condition began; its level follows its severity.',
  ),
  conditionCleared: line(
    'condition-cleared',
    'info',
    'health',
    'condition cleared',
    'A condition ended.',
  ),
  moduleFailed: line(
    'module-failed',
    'warn',
    'module',
    'module failed',
    'A module failed and is disabled; it is tried again.',
  ),
  jobFailed: line('job-failed', 'warn', 'jobs', 'job failed', 'A background job failed.'),
  partFailed: line(
    'part-failed',
    'error',
    'kernel',
    'part failed',
    'Something inside the gateway failed that should not have.',
  ),
  listenerFailed: line(
    'listener-failed',
    'error',
    'kernel',
    'listener failed',
    'An observer inside the gateway threw; the event reached the others.',
  ),
  requestServed: line(
    'request-served',
    'debug',
    'http',
    'request served',
    'A request to the control API was answered.',
  ),
  summary: line('summary', 'info', 'summary', 'summary', 'Once an hour: what was committed.'),
};
