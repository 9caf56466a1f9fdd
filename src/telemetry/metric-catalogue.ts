/** A metric as it is published. Names are part of the public interface. */
export interface MetricKind {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[];
}

const counter = (help: string, ...labels: string[]): MetricKind => ({
  type: 'counter',
  help,
  labels,
});
const gauge = (help: string, ...labels: string[]): MetricKind => ({ type: 'gauge', help, labels });

/** Every metric of the gateway itself. Those of drivers and of the process come in addition. */
export const metricKinds = {
  riser_build_info: gauge('Always 1; the label tells the version.', 'version'),
  riser_ready: gauge('1 when readings are collected and stored.'),
  riser_component_health: gauge('0 failed, 1 degraded, 2 well.', 'component'),
  riser_condition_active: gauge(
    'Subjects for which a condition is shown.',
    'condition',
    'severity',
  ),
  riser_points: gauge('Points: total, read recently (fresh), with good quality.', 'state'),
  riser_devices: gauge('Devices by state.', 'state'),
  riser_device_up: gauge(
    '1 when the device answers; for the first 1000 devices of the configuration.',
    'device',
  ),
  riser_link_load_ratio: gauge('Share of time the link is at work, 0 to 1.', 'link'),
  riser_link_skipped_ticks: gauge('Polls skipped because the link was late.', 'link'),
  riser_link_lateness_seconds: gauge('Poll start after due time, 95th percentile.', 'link'),
  riser_driver_restarts: gauge('Restarts of the driver process since the start.', 'plugin'),
  riser_driver_resident_memory_bytes: gauge('Memory of the driver process.', 'plugin'),
  riser_readings_accepted_total: counter('Readings committed to the outbox.', 'tenant', 'lane'),
  riser_readings_unchanged_total: counter('Readings within their deadband, not told again.'),
  riser_readings_quality_total: counter('Readings judged, by quality.', 'quality'),
  riser_readings_dropped_total: counter(
    'Readings conflated in a driver process because the outbox did not keep up.',
    'link',
  ),
  riser_readings_rejected_total: counter('Readings not accepted, offered again later.', 'reason'),
  riser_outbox_depth: gauge('Events in the outbox.', 'state'),
  riser_outbox_oldest_age_seconds: gauge('Age of the oldest event that is not acked, 0 when none.'),
  riser_outbox_bytes: gauge('Bytes of the outbox file and its write-ahead log.'),
  riser_outbox_wal_bytes: gauge('Bytes of the write-ahead log.'),
  riser_outbox_capacity_bytes: gauge('Bytes that the outbox may take.'),
  riser_outbox_commits_total: counter('Commits.'),
  riser_outbox_committed_events_total: counter('Events committed.'),
  riser_outbox_committed_bytes_total: counter('Bytes of bodies committed.'),
  riser_outbox_commit_duration_seconds: {
    type: 'histogram',
    help: 'How long a commit took, fsync included.',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  },
  riser_outbox_gap_events_total: counter('Ranges given up, each declared by a gap event.'),
  riser_outbox_lost_events_total: counter('Events given up.', 'tenant', 'lane', 'reason'),
  riser_outbox_checksum_errors_total: counter('Stored batches that did not match their checksum.'),
  riser_outbox_parked_events_total: counter('Events set aside as dead letters.', 'consumer'),
  riser_publish_total: counter(
    'Events published (sent), acknowledged (acked) and refused (rejected).',
    'result',
    'reason_code',
  ),
  riser_publish_bytes_total: counter('Bytes of payload published.'),
  riser_event_end_to_end_seconds: {
    type: 'histogram',
    help: 'From storing a batch to its acknowledgement.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3_600, 86_400],
  },
  riser_upstream_connected: gauge('1 when the connection of the tenant is up.', 'tenant'),
  riser_upstream_reconnects_total: counter('Connections after the first.', 'tenant'),
  riser_upstream_disconnects_total: counter('Connections lost or refused.', 'code'),
  riser_commands_refused_total: counter('Commands from the cloud not carried out.', 'reason'),
  riser_driver_exits_total: counter('Driver processes that ended by themselves.', 'plugin'),
  riser_config_applied_total: counter('Configurations by what became of them.', 'result'),
  riser_failures_total: counter('Failures inside the gateway, isolated.', 'kind'),
  riser_http_requests_total: counter('Requests to the control API.', 'route', 'status'),
  riser_clock_synchronized: gauge('1 when the clock has been set from the network since boot.'),
  riser_uptime_seconds: gauge('Since the start of the daemon.'),
  riser_event_loop_lag_seconds: gauge('Longest stall of the event loop since the last scrape.'),
  riser_log_lines_total: counter('Log lines by what became of them.', 'result'),
  riser_metric_series_refused_total: counter('Series of drivers or labels beyond their limit.'),
  riser_scrape_errors_total: counter('Scrapes in which a value could not be read.'),
} as const satisfies Readonly<Record<`riser_${string}`, MetricKind>>;

export type MetricName = keyof typeof metricKinds;
