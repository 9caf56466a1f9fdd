/** Bounds of what is on its way; tests make them small. */
export interface PublisherLimits {
  /** Sent and not acknowledged by the broker, over all streams of a tenant. */
  readonly inflightBytes: number;
  /** Sent and not acknowledged by the cloud, for each stream. */
  readonly unackedEvents: number;
  readonly unackedBytes: number;
  /** The watermark may stand still this long while something is outstanding; doubled each time. */
  readonly stallMs: number;
  readonly longestStallMs: number;
  /** A watermark must lie below the cursor this long, unmoved, before it is believed. */
  readonly lowMs: number;
  /** A stream goes back below its cursor at most this often; doubled each time. */
  readonly goBackEveryMs: number;
  readonly longestGoBackMs: number;
  /** The state is published again at most this often. */
  readonly stateEveryMs: number;
  /** Read ahead at once. */
  readonly readBatches: number;
  readonly readBytes: number;
  /** Pause after a refusal, growing. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

export const publisherLimits: PublisherLimits = {
  inflightBytes: 4 * 1024 * 1024,
  unackedEvents: 100_000,
  unackedBytes: 16 * 1024 * 1024,
  stallMs: 30_000,
  longestStallMs: 600_000,
  lowMs: 5_000,
  goBackEveryMs: 30_000,
  longestGoBackMs: 300_000,
  stateEveryMs: 5_000,
  readBatches: 64,
  readBytes: 512 * 1024,
  retryMinMs: 1_000,
  retryMaxMs: 60_000,
};
