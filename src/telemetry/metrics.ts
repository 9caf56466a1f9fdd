import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type MetricKind, type MetricName, metricKinds } from './metric-catalogue.ts';

type LoopMonitor = ReturnType<typeof monitorEventLoopDelay>;

export type Labels = Readonly<Record<string, string>>;

/** Distinct values of a label whose values come from outside. */
const mostLabelValues = 100;
/** Series of all drivers together. */
const mostDriverSeries = 1_000;
const mostDriverLabels = 4;
const driverMetricName = /^[a-z][a-z0-9_]{0,60}$/;
const labelName = /^[a-z][a-z0-9_]{0,30}$/;
/** Milliseconds between two looks at the event loop: coarse, so that an idle gateway sleeps. */
const loopResolutionMs = 50;

interface DriverMetric {
  readonly metric: Counter | Gauge;
  readonly labels: readonly string[];
}

/** The numbers of the gateway, as Prometheus reads them. Counting never throws. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #own = new Map<string, Counter | Gauge | Histogram>();
  readonly #driver = new Map<string, DriverMetric>();
  readonly #driverSeries = new Set<string>();
  readonly #labelValues = new Map<string, Set<string>>();
  readonly #loop: LoopMonitor;
  #read: (metrics: Metrics) => void = () => {};

  constructor(version: string) {
    for (const [name, kind] of Object.entries(metricKinds)) {
      this.#own.set(name, create(name, kind, this.#registry));
    }
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: loopResolutionMs,
    });
    this.#loop = monitorEventLoopDelay({ resolution: loopResolutionMs });
    this.#loop.enable();
    this.set('riser_build_info', 1, { version });
  }

  /** Called at each scrape to set the gauges. */
  onScrape(read: (metrics: Metrics) => void): void {
    this.#read = read;
  }

  count(name: MetricName, by = 1, labels: Labels = {}): void {
    // A counter that is given a negative or broken number would throw into the data path.
    if (by > 0 && Number.isFinite(by)) (this.#own.get(name) as Counter).inc({ ...labels }, by);
  }

  set(name: MetricName, value: number, labels: Labels = {}): void {
    (this.#own.get(name) as Gauge).set({ ...labels }, value);
  }

  /** Forgets the series of a gauge, so that what no longer exists is not reported. */
  reset(name: MetricName): void {
    (this.#own.get(name) as Gauge).reset();
  }

  observe(name: MetricName, seconds: number): void {
    if (Number.isFinite(seconds)) (this.#own.get(name) as Histogram).observe(seconds);
  }

  /** A label value that comes from outside: beyond the hundredth it is "other". */
  capped(label: string, value: string): string {
    const known = this.#labelValues.get(label) ?? new Set<string>();
    this.#labelValues.set(label, known);
    const text = value.slice(0, 100);
    if (known.has(text)) return text;
    if (known.size >= mostLabelValues) {
      this.count('riser_metric_series_refused_total');
      return 'other';
    }
    known.add(text);
    return text;
  }

  /** A number of a driver: adds to a counter when the name ends in _total, else sets a gauge. */
  driver(plugin: string, name: string, value: number, labels: Labels = {}): void {
    const metric = this.#driverMetric(name, labels);
    const values: Record<string, string> = { plugin };
    for (const label of metric?.labels ?? []) values[label] = (labels[label] ?? '').slice(0, 100);
    const series = `${name} ${JSON.stringify(values)}`;
    if (
      metric === undefined ||
      !Number.isFinite(value) ||
      (!this.#driverSeries.has(series) && this.#driverSeries.size >= mostDriverSeries)
    ) {
      this.count('riser_metric_series_refused_total');
      return;
    }
    this.#driverSeries.add(series);
    if (metric.metric instanceof Counter) metric.metric.inc(values, Math.max(0, value));
    else metric.metric.set(values, value);
  }

  /**
   * All numbers in the text format of Prometheus. Never rejects: what cannot be read at the moment
   * (no file descriptors left, a status that throws) is left out.
   */
  async text(): Promise<string> {
    this.set('riser_event_loop_lag_seconds', stallSeconds(this.#loop));
    this.#loop.reset();
    try {
      this.#read(this);
    } catch {
      this.count('riser_scrape_errors_total');
    }
    const texts = this.#registry.getMetricsAsArray().map(async ({ name }) => {
      try {
        return await this.#registry.getSingleMetricAsString(name);
      } catch {
        this.count('riser_scrape_errors_total');
        return '';
      }
    });
    return `${(await Promise.all(texts)).filter((text) => text !== '').join('\n\n')}\n`;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  close(): void {
    this.#loop.disable();
  }

  #driverMetric(name: string, labels: Labels): DriverMetric | undefined {
    const known = this.#driver.get(name);
    if (known !== undefined) return known;
    const full = `riser_driver_${name}`;
    const names = Object.keys(labels);
    if (
      !driverMetricName.test(name) ||
      this.#own.has(full) ||
      this.#driver.size >= mostLabelValues ||
      names.length > mostDriverLabels ||
      names.some((label) => !labelName.test(label) || label === 'plugin')
    ) {
      return undefined;
    }
    const kind: MetricKind = {
      type: name.endsWith('_total') ? 'counter' : 'gauge',
      help: 'Reported by a driver.',
      labels: ['plugin', ...names],
    };
    const metric = create(full, kind, this.#registry) as Counter | Gauge;
    const created = { metric, labels: names };
    this.#driver.set(name, created);
    return created;
  }
}

function create(name: string, kind: MetricKind, registry: Registry): Counter | Gauge | Histogram {
  const options = {
    name,
    help: kind.help,
    labelNames: [...(kind.labels ?? [])],
    registers: [registry],
  };
  switch (kind.type) {
    case 'counter':
      return new Counter(options);
    case 'gauge':
      return new Gauge(options);
    case 'histogram':
      return new Histogram({ ...options, buckets: [...(kind.buckets ?? [])] });
  }
}

/** The monitor counts its own interval as delay. */
function stallSeconds(loop: LoopMonitor): number {
  return loop.count === 0 ? 0 : Math.max(0, loop.max / 1e9 - loopResolutionMs / 1e3);
}
