import type { X509Certificate } from 'node:crypto';
import { Backoff, type BackoffLimits } from '../kernel/backoff.ts';
import { sleep } from '../kernel/wait.ts';
import type { Bus } from '../model/bus-events.ts';
import type { Clock } from '../model/clock.ts';
import type { ConditionCode, ConditionReporter } from '../model/condition.ts';
import type { LatestValue } from '../model/field.ts';
import type { GatewayId, TenantId } from '../model/ids.ts';
import type { Notes } from '../model/notes.ts';
import type { Outbox } from '../model/outbox.ts';
import type { SecretRef, Settings } from '../model/site.ts';
import type { UplinkStatus } from '../model/uplink.ts';
import type { BrokerAddress } from './broker-address.ts';
import { Connector, type ConnectorLimits } from './connector.ts';
import { type ControlMessage, ControlQueue } from './control-queue.ts';
import type { Failure } from './failure.ts';
import { Inbound } from './inbound.ts';
import { LastValues } from './last-values.ts';
import type { MqttSession } from './mqtt-session.ts';
import { Publisher } from './publisher.ts';
import type { PublisherLimits } from './publisher-limits.ts';
import { willPayload } from './state.ts';
import { StateTeller } from './state-teller.ts';
import { expiryWarning } from './tls.ts';
import { type Topics, topicsOf } from './topics.ts';

/** How long things may take; tests make them short. */
export interface ConnectionLimits {
  readonly backoff: BackoffLimits;
  readonly connector: ConnectorLimits;
  readonly publisher: PublisherLimits;
  /** A connection must last this long before it counts as mended. */
  readonly settleMs: number;
  /** For the death and for the goodbye, each. */
  readonly closeMs: number;
}

export interface TenantConnectionOptions {
  readonly gateway: GatewayId;
  readonly tenant: TenantId;
  readonly version: string;
  readonly settings: Settings['uplink'];
  readonly address: BrokerAddress;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly notes: Pick<
    Notes,
    | 'uplinkConnecting'
    | 'uplinkConnected'
    | 'uplinkDown'
    | 'uplinkRejected'
    | 'published'
    | 'acked'
    | 'commandRefused'
    | 'partFailed'
  >;
  readonly conditions: ConditionReporter;
  readonly bus: Pick<Bus, 'emit'>;
  readonly resolveSecret: (ref: SecretRef) => Promise<string>;
  readonly latest: () => Iterable<LatestValue>;
  readonly limits: ConnectionLimits;
}

/** Conditions of which a tenant's connection has at most one at a time. */
const ownConditions: readonly ConditionCode[] = [
  'upstream-unreachable',
  'upstream-refused',
  'upstream-tls',
  'secret-unresolved',
];

/** Beyond this the network is behind, and last values wait for their next turn. */
const tellBacklogBytes = 256 * 1024;
/** A connection may last longer than the certificate that it was made with. */
const certificateCheckMs = 6 * 3_600_000;

/** The connection of one tenant to the cloud: never gives up, buffers nothing itself. */
export class TenantConnection {
  readonly #options: TenantConnectionOptions;
  readonly #topics: Topics;
  readonly #publisher: Publisher;
  readonly #inbound: Inbound;
  readonly #connector: Connector;
  readonly #control: ControlQueue;
  readonly #teller: StateTeller;
  readonly #lastValues: LastValues;
  readonly #backoff: Backoff;
  readonly #stop = new AbortController();
  #settings: Settings['uplink'];
  #session: MqttSession | undefined;
  #running: Promise<void> | undefined;
  #state: UplinkStatus['state'] = 'connecting';
  #stateAt: number;
  #downAt: number;
  #failure: Failure | undefined;
  #lastValuesTimer: Disposable | undefined;
  #settleTimer: Disposable | undefined;
  #certificateTimer: Disposable | undefined;
  #reconnects = 0;
  #closing = false;

  constructor(options: TenantConnectionOptions) {
    const { gateway, tenant, clock, notes, settings, limits } = options;
    this.#options = options;
    this.#settings = settings;
    this.#stateAt = clock.monotonic();
    this.#downAt = this.#stateAt;
    this.#topics = topicsOf(gateway, tenant);
    this.#backoff = new Backoff(limits.backoff);
    this.#lastValues = new LastValues(tenant);
    this.#control = new ControlQueue();
    this.#teller = new StateTeller({
      ...options,
      everyMs: limits.publisher.stateEveryMs,
      tell: () => {
        if (!this.#closing) this.#say(this.#birth());
      },
    });
    this.#publisher = new Publisher({
      ...options,
      topics: this.#topics,
      ack: settings.ack,
      limits: limits.publisher,
      onEpoch: () => this.#teller.committed(),
      onOutrun: () => this.#teller.outrun(),
      ...(limits.backoff.random === undefined ? {} : { random: limits.backoff.random }),
    });
    this.#inbound = new Inbound({
      gateway,
      tenant,
      clock,
      notes,
      onWatermark: (lane, epoch, sequence) => this.#publisher.watermark(lane, epoch, sequence),
      onNack: (lane, epoch, sequence, reason) =>
        this.#publisher.nack(lane, epoch, sequence, reason),
      onAnswer: (id, payload) => this.#say({ topic: this.#topics.result(id), payload }),
    });
    this.#connector = new Connector({
      settings,
      address: options.address,
      clientId: `${gateway}.${tenant}`,
      will: { topic: this.#topics.state, payload: willPayload },
      clock,
      limits: limits.connector,
      resolveSecret: options.resolveSecret,
      onMessage: (topic, payload, retained) => this.#inbound.take(topic, payload, retained),
      onRoom: () => this.#room(),
      onCertificate: (certificate) => this.#checkCertificate(certificate),
    });
  }

  /** Begins to connect; there is nothing to wait for. */
  start(): void {
    const { notes, tenant, address } = this.#options;
    notes.uplinkConnecting({ tenant, url: address.shown });
    this.#running = this.#run().catch((error: unknown) => {
      if (!this.#stop.signal.aborted) notes.partFailed({ part: 'uplink', error });
    });
  }

  /** The outbox has grown. */
  committed(): void {
    this.#publisher.committed();
    if (this.#session !== undefined) this.#teller.committed();
  }

  /** Takes over settings that need no new connection. */
  reconfigure(settings: Settings['uplink']): void {
    this.#settings = settings;
    this.#session?.limitTo(settings.window);
    this.#publisher.reconfigure(settings.ack);
    if (this.#session !== undefined) this.#tellLastValues();
  }

  status(): UplinkStatus {
    const { tenant, address, clock } = this.#options;
    const { lastAckAgeMs } = this.#publisher;
    const detail =
      this.#failure === undefined
        ? this.#publisher.trouble
        : `${this.#failure.message}. ${this.#failure.remedy}`;
    return {
      tenant,
      state: this.#state,
      url: address.shown,
      ...(this.#session === undefined
        ? {}
        : { protocol: this.#session.version === 5 ? 'mqtt5' : 'mqtt3.1.1' }),
      ackLevel: this.#publisher.ackLevel,
      ...(detail === undefined ? {} : { detail }),
      ...(this.#failure === undefined ? {} : { code: this.#failure.code }),
      forMs: clock.monotonic() - this.#stateAt,
      ...(lastAckAgeMs === undefined ? {} : { lastAckAgeMs }),
      inflight: this.#session?.unacknowledged ?? 0,
      reconnects: this.#reconnects,
      published: this.#publisher.published,
      acked: this.#publisher.acked,
    };
  }

  /** Says goodbye and ends. Never rejects, may come twice. */
  async close(): Promise<void> {
    if (this.#closing) {
      await this.#running;
      return;
    }
    this.#closing = true;
    const { limits, conditions, tenant } = this.#options;
    const session = this.#session;
    this.#publisher.close();
    if (session !== undefined) {
      await this.#sayDeath(session, limits.closeMs);
      await session.close(limits.closeMs);
    }
    this.#stop.abort();
    session?.abort();
    await this.#running;
    this.#endTimers();
    for (const code of ownConditions) conditions.clear(code, tenant);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { clock } = this.#options;
    for (;;) {
      const connected = await this.#connector.connect(this.#settings.window, signal);
      if ('failure' in connected) this.#down(connected.failure);
      else {
        const { session } = connected;
        if (this.#closing) session.abort();
        await this.#use(session);
        if (this.#closing) return;
      }
      await sleep(this.#backoff.next(), signal, clock);
    }
  }

  /** From CONNACK to the end of a session. */
  async #use(session: MqttSession): Promise<void> {
    const { clock, conditions, tenant } = this.#options;
    const ackedBefore = this.#publisher.acked;
    try {
      const refused = await session.subscribe(this.#topics.filters);
      if (this.#settings.ack === 'cloud' && refused.some((filter) => filter.endsWith('/ack'))) {
        conditions.raise(
          'upstream-rejects',
          tenant,
          `the broker does not let this gateway subscribe to ${refused.find((filter) => filter.endsWith('/ack'))}, so nothing can be confirmed by the cloud`,
        );
      }
      this.#up(session);
    } catch {
      // The session has ended with the same reason.
    }
    const reason = await session.ended;
    this.#session = undefined;
    this.#publisher.detach();
    this.#control.clear();
    this.#endTimers();
    if (this.#closing) return;
    if (this.#publisher.acked > ackedBefore) this.#backoff.reset();
    this.#reconnects += 1;
    this.#downAt = clock.monotonic();
    this.#down(this.#connector.explain(reason));
  }

  #up(session: MqttSession): void {
    const { notes, tenant, address, clock, conditions, limits } = this.#options;
    this.#session = session;
    this.#failure = undefined;
    this.#setState('connected');
    notes.uplinkConnected({
      tenant,
      url: address.shown,
      protocol: session.version === 5 ? 'mqtt5' : 'mqtt3.1.1',
      downMs: Math.round(clock.monotonic() - this.#downAt),
    });
    this.#lastValues.forget();
    // A retained watermark comes before the birth's ack, so that nothing is taken for acked by the
    // broker alone which the cloud will ack.
    this.#say({
      ...this.#birth(),
      done: () => {
        if (this.#session === session) this.#publisher.attach(session);
      },
    });
    this.#tellLastValues();
    this.#settleTimer = clock.setTimeout(() => {
      this.#backoff.reset();
      for (const code of ownConditions) conditions.clear(code, tenant);
    }, limits.settleMs);
  }

  #down(failure: Failure): void {
    const { notes, tenant, conditions } = this.#options;
    const changed = this.#state !== 'waiting' || this.#failure?.code !== failure.code;
    const before = this.#failure?.condition;
    this.#failure = failure;
    this.#setState('waiting');
    conditions.raise(failure.condition, tenant, failure.message, { remedy: failure.remedy });
    for (const code of ownConditions) {
      if (code !== failure.condition) conditions.clear(code, tenant);
    }
    if (!changed && before === failure.condition) return;
    notes.uplinkDown({
      tenant,
      code: failure.code,
      message: failure.message,
      retryInMs: this.#options.limits.backoff.minMs,
    });
  }

  #setState(state: UplinkStatus['state']): void {
    if (this.#state === state) return;
    const { clock, bus, tenant } = this.#options;
    this.#state = state;
    this.#stateAt = clock.monotonic();
    bus.emit('uplink-state', tenant, state);
  }

  #birth(): ControlMessage {
    return { topic: this.#topics.state, payload: this.#teller.payload('online'), retain: true };
  }

  #say(message: ControlMessage): void {
    if (this.#session === undefined) return;
    this.#control.push(message);
    this.#control.flush(this.#session);
  }

  /** A publish was acknowledged: what is said goes before what is sent. */
  #room(): void {
    if (this.#session === undefined) return;
    this.#control.flush(this.#session);
    this.#publisher.pump();
  }

  /** Resolves when the broker has the death, or after the limit. */
  async #sayDeath(session: MqttSession, limitMs: number): Promise<void> {
    const done = new Promise<void>((resolve) => {
      this.#say({
        topic: this.#topics.state,
        payload: this.#teller.payload('offline'),
        retain: true,
        done: resolve,
      });
    });
    const inTime = new AbortController();
    const late = sleep(limitMs, inTime.signal).catch(() => {});
    await Promise.race([done, session.ended, late]);
    inTime.abort();
  }

  #tellLastValues(): void {
    this.#lastValuesTimer?.[Symbol.dispose]();
    const { lastValuesS } = this.#settings;
    if (lastValuesS <= 0) return;
    const { clock, latest } = this.#options;
    this.#lastValuesTimer = clock.setTimeout(() => {
      const session = this.#session;
      if (session === undefined) return;
      if (session.backlogBytes < tellBacklogBytes) {
        this.#lastValues.tell(latest(), (device, payload) =>
          session.tell(this.#topics.last(device), payload),
        );
      }
      this.#tellLastValues();
    }, lastValuesS * 1_000);
  }

  #checkCertificate(certificate: X509Certificate): void {
    const { conditions, clock } = this.#options;
    const file = this.#settings.tls.certificate;
    const warning = expiryWarning(certificate, file, clock.wall());
    if (warning === undefined) conditions.clear('certificate-expiring', file);
    else conditions.raise('certificate-expiring', file, warning);
    this.#certificateTimer?.[Symbol.dispose]();
    this.#certificateTimer = clock.setTimeout(
      () => this.#checkCertificate(certificate),
      certificateCheckMs,
    );
  }

  #endTimers(): void {
    this.#lastValuesTimer?.[Symbol.dispose]();
    this.#settleTimer?.[Symbol.dispose]();
    this.#certificateTimer?.[Symbol.dispose]();
    this.#teller.stop();
  }
}
