import type { Action, ActionRequest, RunningAction } from '../model/action.ts';
import type { Bus } from '../model/bus-events.ts';
import type { Clock } from '../model/clock.ts';
import type { Condition } from '../model/condition.ts';
import { GatewayError } from '../model/errors.ts';
import type {
  DeviceStatus,
  DriverProcessStatus,
  LatestValue,
  LinkStatus,
  RawResult,
} from '../model/field.ts';
import { type DeviceId, deviceId } from '../model/ids.ts';
import type { DeadLetter, Outbox, Stream } from '../model/outbox.ts';
import type { Reading } from '../model/reading.ts';
import type { Site } from '../model/site.ts';
import type { ApplyResult, Control, GatewayStatus } from '../model/status.ts';
import type { UplinkStatus } from '../model/uplink.ts';
import type { ActionDesk } from './action-desk.ts';

/** Consumer under whose name the control API looks into the outbox: it parks nothing and acks nothing. */
const peekConsumer = 'peek';
/** Most batches that one look into the outbox returns. */
const peekMaxBatches = 500;
const peekMaxBytes = 4 * 1024 * 1024;

export interface GatewayControlParts {
  readonly version: string;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly outbox: Pick<Outbox, 'stats' | 'streams' | 'read' | 'deadLetters'>;
  readonly field: {
    devices(): readonly DeviceStatus[];
    links(): readonly LinkStatus[];
    drivers(): readonly DriverProcessStatus[];
    read(
      device: DeviceId,
      points: readonly string[],
      signal: AbortSignal,
    ): Promise<readonly RawResult[]>;
  };
  readonly recorder: {
    values(device?: string): readonly LatestValue[];
    freshness(): { readonly fresh: number; readonly good: number };
    judge(device: DeviceId, results: readonly RawResult[]): readonly LatestValue[];
  };
  readonly uplink: { status(): readonly UplinkStatus[] };
  readonly conditions: { list(): readonly Condition[] };
  readonly modules: {
    status(): readonly {
      readonly name: string;
      readonly state: string;
      readonly detail?: string;
    }[];
  };
  readonly site: () => Site;
  readonly mode: () => GatewayStatus['mode'];
  readonly live: () => boolean;
  readonly apply: () => Promise<ApplyResult>;
  readonly actions: Pick<ActionDesk, 'list' | 'run'>;
}

/** What CLI, page and probes may ask, answered from the parts. */
export class GatewayControl implements Control {
  readonly #parts: GatewayControlParts;
  readonly #startedAt: number;

  constructor(parts: GatewayControlParts) {
    this.#parts = parts;
    this.#startedAt = parts.clock.monotonic();
  }

  status(): GatewayStatus {
    const { version, clock, field, outbox, uplink, conditions, modules, recorder } = this.#parts;
    const site = this.#parts.site();
    return {
      gateway: site.settings.gateway.id,
      title: site.settings.gateway.title,
      version,
      bootId: clock.bootId,
      upMs: Math.round(clock.monotonic() - this.#startedAt),
      revision: site.revision,
      mode: this.#parts.mode(),
      ready: this.ready(),
      points: {
        total: site.devices.reduce((sum, { points }) => sum + points.length, 0),
        ...recorder.freshness(),
      },
      devices: field.devices(),
      links: field.links(),
      drivers: field.drivers(),
      outbox: outbox.stats(),
      uplinks: uplink.status(),
      conditions: conditions.list(),
      modules: modules.status(),
      clockSynced: clock.synced(),
    };
  }

  live(): boolean {
    return this.#parts.live();
  }

  /** The upstream never makes a gateway unready: it buffers. */
  ready(): boolean {
    const mode = this.#parts.mode();
    if (mode === 'starting' || mode === 'stopping') return false;
    return !this.#parts.conditions.list().some(({ code }) => code === 'outbox-unavailable');
  }

  values(device?: string): readonly LatestValue[] {
    return this.#parts.recorder.values(device);
  }

  async read(
    device: string,
    points: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly LatestValue[]> {
    const found = this.#parts.site().devices.find(({ id }) => id === device);
    if (found === undefined) {
      throw new GatewayError(
        'DEVICE_UNKNOWN',
        `there is no device ${JSON.stringify(device.slice(0, 80))}`,
      );
    }
    const known = new Set(found.points.map(({ name }) => name));
    const unknown = points.find((name) => !known.has(name));
    if (unknown !== undefined) {
      throw new GatewayError(
        'POINT_UNKNOWN',
        `device ${found.id} has no point ${JSON.stringify(unknown.slice(0, 140))}`,
      );
    }
    const wanted = points.length > 0 ? points : [...known];
    const id = deviceId(device);
    return this.#parts.recorder.judge(id, await this.#parts.field.read(id, wanted, signal));
  }

  watch(listener: (values: readonly LatestValue[]) => void, signal: AbortSignal): void {
    const units = new Map<string, string | undefined>();
    const learn = () => {
      units.clear();
      for (const { points } of this.#parts.site().devices) {
        for (const { id, unit } of points) units.set(id, unit);
      }
    };
    learn();
    const { bus } = this.#parts;
    const stops = [
      bus.on('config-applied', learn),
      bus.on('readings-committed', (readings) =>
        listener(readings.map((r) => withUnit(r, units.get(r.point)))),
      ),
    ];
    signal.addEventListener('abort', () => stops.forEach((stop) => void stop()), { once: true });
  }

  streams(): readonly Stream[] {
    return this.#parts.outbox.streams();
  }

  async peek(
    tenant: string,
    lane: string,
    after: number,
    limit: number,
  ): Promise<readonly string[]> {
    const { outbox } = this.#parts;
    const stream = outbox
      .streams()
      .findLast((each) => each.tenant === tenant && each.lane === lane);
    if (stream === undefined) return [];
    const batches = await outbox.read(peekConsumer, stream.sid, after, {
      batches: Math.min(limit, peekMaxBatches),
      bytes: peekMaxBytes,
    });
    return batches.map(({ body }) => Buffer.from(body).toString('utf8'));
  }

  async deadLetters(limit: number): Promise<readonly DeadLetter[]> {
    return await this.#parts.outbox.deadLetters(limit);
  }

  async applyConfig(): Promise<ApplyResult> {
    return await this.#parts.apply();
  }

  actions(): readonly Action[] {
    return this.#parts.actions.list();
  }

  runAction(request: ActionRequest, signal: AbortSignal): RunningAction {
    return this.#parts.actions.run(request, signal);
  }
}

function withUnit(reading: Reading, unit: string | undefined): LatestValue {
  return { ...reading, ...(unit === undefined ? {} : { unit }), ageMs: 0, stale: false };
}
