import { type DestinationStream, pino, stdTimeFunctions } from 'pino';
import { readBootId, SystemClock } from '../kernel/system-clock.ts';
import { withDeadline } from '../kernel/wait.ts';
import type { Clock } from '../model/clock.ts';
import type { Notes } from '../model/notes.ts';
import type { GatewayStatus } from '../model/status.ts';
import { createNotes } from './create-notes.ts';
import { LineWriter } from './line-writer.ts';
import { Metrics } from './metrics.ts';
import { Redactor } from './redactor.ts';
import { setStatusGauges } from './status-gauges.ts';

/** Lines that wait for a slow reader of standard output; beyond it they are dropped and counted. */
const maxWaitingBytes = 1024 * 1024;
const flushDeadlineMs = 1_000;

/** Where gauges come from at each scrape. */
export type MetricsSource = () => GatewayStatus;

export interface TelemetryOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly version: string;
  /** Id of the gateway; stands in each line. */
  readonly gateway: string;
  /** Where lines go; standard output without it. */
  readonly destination?: DestinationStream;
  readonly clock?: Clock;
}

/** Log and metrics of the gateway. */
export interface Telemetry {
  readonly notes: Notes;
  /** From the next scrape on, gauges are read from here. */
  observe(source: MetricsSource): void;
  /** All metrics in the text format of Prometheus. Never rejects. */
  metrics(): Promise<string>;
  /** Content-Type of metrics(). */
  readonly metricsContentType: string;
  /** From now on this value is masked in every line. */
  registerSecret(value: string): void;
  setLevel(level: TelemetryOptions['level']): void;
  /** Writes what is held back and waits until the lines are out. May come twice. */
  close(): Promise<void>;
}

/** Makes the log and the metrics; nothing else in the gateway writes either. */
export function createTelemetry(options: TelemetryOptions): Telemetry {
  const { level, version, gateway, clock = new SystemClock(readBootId()) } = options;
  const metrics = new Metrics(version);
  const output = options.destination === undefined ? openStandardOutput(metrics) : undefined;
  const logger = pino(
    {
      level,
      base: { gateway },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? output?.stream,
  );
  const redactor = new Redactor();
  const lines = new LineWriter({
    logger,
    redactor,
    clock,
    onLine: (result) => metrics.count('riser_log_lines_total', 1, { result }),
  });
  let closed: Promise<void> | undefined;

  return {
    notes: createNotes({ lines, metrics, clock }),
    observe: (source) => metrics.onScrape(() => setStatusGauges(metrics, source())),
    metrics: () => metrics.text(),
    metricsContentType: metrics.contentType,
    registerSecret: (value) => redactor.register(value),
    setLevel: (next) => {
      logger.level = next;
    },
    close() {
      closed ??= (async () => {
        lines.close();
        metrics.close();
        await output?.end();
      })();
      return closed;
    },
  };
}

/** Standard output that neither blocks the gateway nor ends it when its reader is slow or gone. */
function openStandardOutput(metrics: Metrics) {
  const stream = pino.destination({ dest: 1, sync: false, maxLength: maxWaitingBytes });
  const lost = () => metrics.count('riser_log_lines_total', 1, { result: 'dropped' });
  stream.on('drop', lost);
  // The reader of a pipe has gone. There is nobody left to tell.
  stream.on('error', lost);
  const ended = new Promise<void>((resolve) => stream.once('close', resolve));
  return {
    stream,
    async end(): Promise<void> {
      stream.end();
      await withDeadline('writing the last lines', flushDeadlineMs, ended).catch(() => {});
    },
  };
}
