import { type DestinationStream, pino, stdTimeFunctions } from 'pino';
import { readBootId, SystemClock } from '../kernel/system-clock.ts';
import type { Clock } from '../model/clock.ts';
import type { Notes } from '../model/notes.ts';
import type { GatewayStatus } from '../model/status.ts';
import { createNotes } from './create-notes.ts';
import { LineWriter } from './line-writer.ts';
import { Metrics } from './metrics.ts';
import { Redactor } from './redactor.ts';
import { StandardOutput } from './standard-output.ts';
import { setStatusGauges } from './status-gauges.ts';

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
  const output =
    options.destination === undefined
      ? new StandardOutput((lost) =>
          metrics.count('riser_log_lines_total', lost, { result: 'lost' }),
        )
      : undefined;
  const logger = pino(
    {
      level,
      base: { gateway },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? output,
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
        await output?.close();
      })();
      return closed;
    },
  };
}
