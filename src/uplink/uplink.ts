import type { Part } from '../kernel/part.ts';
import type { Bus } from '../model/bus-events.ts';
import type { Clock } from '../model/clock.ts';
import type { ConditionReporter } from '../model/condition.ts';
import { GatewayError } from '../model/errors.ts';
import type { LatestValue } from '../model/field.ts';
import type { GatewayId, TenantId } from '../model/ids.ts';
import type { Notes } from '../model/notes.ts';
import type { Outbox } from '../model/outbox.ts';
import type { SecretRef, Settings } from '../model/site.ts';
import type { Tenant } from '../model/tenant.ts';
import type { UplinkStatus } from '../model/uplink.ts';
import { type BrokerAddress, readBrokerUrl } from './broker-address.ts';
import { connectorLimits } from './connector.ts';
import { publisherLimits } from './publisher-limits.ts';
import { type ConnectionLimits, TenantConnection } from './tenant-connection.ts';

export interface UplinkOptions {
  readonly gateway: GatewayId;
  /** Of the program, for the birth. */
  readonly version: string;
  readonly tenants: readonly Tenant[];
  readonly settings: Settings['uplink'];
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly notes: Notes;
  readonly conditions: ConditionReporter;
  readonly bus: Bus;
  readonly resolveSecret: (ref: SecretRef) => Promise<string>;
  /** For the retained last values. */
  readonly latest: () => Iterable<LatestValue>;
  /** Of the embedded broker, with credentials, while it runs; asked when settings.url is "embedded". */
  readonly brokerUrl?: () => string | undefined;
  readonly limits?: Partial<ConnectionLimits>;
}

const defaultLimits: ConnectionLimits = {
  backoff: { minMs: 1_000, maxMs: 60_000 },
  connector: connectorLimits,
  publisher: publisherLimits,
  settleMs: 2_000,
  closeMs: 1_200,
};

/** Carries the outbox to the cloud: one MQTT connection for each tenant. */
export class Uplink implements Part {
  readonly name = 'uplink';
  readonly #options: UplinkOptions;
  readonly #connections = new Map<TenantId, { key: string; connection: TenantConnection }>();
  /** Whose stream is which, as far as it was asked. */
  readonly #tenantOf = new Map<number, TenantId>();
  #settings: Settings['uplink'];
  #tenants: readonly Tenant[];
  #stopListening: (() => void) | undefined;
  #offSince: number;
  #off: GatewayError | undefined;
  /** Changes of configuration and the end come one after the other. */
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: UplinkOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#tenants = options.tenants;
    this.#offSince = options.clock.monotonic();
  }

  /** Does not wait for a connection: the gateway works without one. */
  async start(): Promise<void> {
    this.#stopListening = this.#options.outbox.onCommit((sids) => this.#committed(sids));
    await this.#inTurn(() => this.#apply());
  }

  status(): readonly UplinkStatus[] {
    const { clock } = this.#options;
    return this.#tenants.map(({ id }) => {
      const known = this.#connections.get(id);
      if (known !== undefined) return known.connection.status();
      return {
        tenant: id,
        state: 'off',
        ...(this.#off === undefined
          ? {}
          : { detail: `${this.#off.message}. ${this.#off.remedy}`, code: this.#off.code }),
        forMs: clock.monotonic() - this.#offSince,
        inflight: 0,
        reconnects: 0,
        published: 0,
        acked: 0,
      };
    });
  }

  /** Takes over new settings and tenants; only connections that they concern are made anew. */
  async reconfigure(settings: Settings['uplink'], tenants: readonly Tenant[]): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#closed) return;
      this.#settings = settings;
      this.#tenants = tenants;
      await this.#apply();
    });
  }

  /** Says goodbye on all connections; at most 3 seconds. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopListening?.();
    await this.#inTurn(async () => {
      const all = [...this.#connections.values()];
      this.#connections.clear();
      await Promise.all(all.map(({ connection }) => connection.close()));
    });
  }

  async #apply(): Promise<void> {
    if (this.#closed) return;
    const address = this.#address();
    const key = JSON.stringify([address, connectionSettings(this.#settings)]);
    const wanted = new Set(address === undefined ? [] : this.#tenants.map(({ id }) => id));
    const leaving = [...this.#connections].filter(
      ([tenant, known]) => !wanted.has(tenant) || known.key !== key,
    );
    // The old connection ends before the new one begins: both have the same client id.
    await Promise.all(
      leaving.map(async ([tenant, { connection }]) => {
        this.#connections.delete(tenant);
        await connection.close();
      }),
    );
    for (const { connection } of this.#connections.values()) connection.reconfigure(this.#settings);
    if (address === undefined || this.#closed) return;
    for (const tenant of wanted) {
      if (this.#connections.has(tenant)) continue;
      const connection = new TenantConnection({
        ...this.#options,
        settings: this.#settings,
        tenant,
        address,
        limits: { ...defaultLimits, ...this.#options.limits },
      });
      this.#connections.set(tenant, { key, connection });
      connection.start();
    }
  }

  /** Where to connect to; undefined, and the condition raised, when there is nowhere. */
  #address(): BrokerAddress | undefined {
    const { conditions } = this.#options;
    const brokerUrl = this.#options.brokerUrl?.();
    const { url } = this.#settings;
    try {
      if (url === '') {
        throw new GatewayError('UPSTREAM_UNREACHABLE', 'No upstream is configured', {
          remedy: 'Set uplink.url in riser.yaml, then run "riser config apply".',
        });
      }
      if (url === 'embedded' && brokerUrl === undefined) {
        throw new GatewayError('UPSTREAM_UNREACHABLE', 'The embedded broker is not running', {
          remedy: 'Set broker.enabled to true, or uplink.url to the address of a broker.',
        });
      }
      const address = readBrokerUrl(url === 'embedded' ? (brokerUrl ?? '') : url);
      this.#off = undefined;
      conditions.clear('upstream-off', '');
      return address;
    } catch (thrown) {
      this.#off = GatewayError.from(thrown, 'UPSTREAM_PROTOCOL', 'uplink.url cannot be used');
      this.#offSince = this.#options.clock.monotonic();
      conditions.raise('upstream-off', '', `${this.#off.message}; readings are kept here`, {
        remedy: this.#off.remedy,
      });
      return undefined;
    }
  }

  #committed(sids: readonly number[]): void {
    const concerned = new Set<TenantId>();
    for (const sid of sids) {
      const tenant = this.#tenantOf.get(sid) ?? this.#lookUp(sid);
      if (tenant !== undefined) concerned.add(tenant);
    }
    for (const tenant of concerned) this.#connections.get(tenant)?.connection.committed();
  }

  #lookUp(sid: number): TenantId | undefined {
    this.#tenantOf.clear();
    for (const stream of this.#options.outbox.streams()) {
      this.#tenantOf.set(stream.sid, stream.tenant);
    }
    return this.#tenantOf.get(sid);
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }
}

/** The settings that a connection is made with; the others can change under it. */
function connectionSettings(settings: Settings['uplink']): object {
  const { username, password, protocol, keepaliveS, tls } = settings;
  return { username, password, protocol, keepaliveS, tls };
}
