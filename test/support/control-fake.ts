import type { Action, ActionRequest, RunningAction } from '../../src/model/action.ts';
import { type Condition, type ConditionCode, conditionKinds } from '../../src/model/condition.ts';
import { GatewayError } from '../../src/model/errors.ts';
import { sequenceText } from '../../src/model/event.ts';
import type { LatestValue } from '../../src/model/field.ts';
import type { DeviceId, LinkId, PointId, TenantId } from '../../src/model/ids.ts';
import type { Lane } from '../../src/model/lane.ts';
import type { DeadLetter, Stream } from '../../src/model/outbox.ts';

import type { ApplyResult, Control, GatewayStatus } from '../../src/model/status.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const tenant = 'acme-de' as TenantId;
const plantRoom = 'plant-room' as LinkId;
const roof = 'roof' as LinkId;

/** Writes a condition as the daemon would raise it. */
export function condition(
  code: ConditionCode,
  subject: string,
  text: string,
  ageMs: number,
): Condition {
  const { title, severity, remedy } = conditionKinds[code];
  return {
    code,
    subject,
    severity,
    title,
    text,
    remedy,
    runbook: `docs/runbooks/${code}.md`,
    since: Date.now() - ageMs,
  };
}

/** A value of a point of the fake site. */
export function latest(
  device: string,
  name: string,
  value: LatestValue['value'],
  more: Partial<LatestValue> = {},
): LatestValue {
  return {
    point: `${device}/${name}` as PointId,
    device: device as DeviceId,
    tenant,
    lane: 'live',
    time: Date.now() - 800,
    value,
    quality: value === null ? 'bad' : 'good',
    ageMs: 800,
    stale: false,
    ...more,
  };
}

/** The status of a site on an ordinary day: one device of three does not answer. */
export function fakeStatus(): GatewayStatus {
  return {
    gateway: 'gw-7f3a',
    title: 'HQ North',
    version: '1.0.0',
    bootId: '0b0b7e9c-8a52-4c55-9be8-7d2f3d6d6f10',
    upMs: 12 * day + 4 * hour,
    revision: '4f0a11c2',
    mode: 'running',
    ready: true,
    points: { total: 5020, fresh: 4912, good: 4900 },
    devices: [
      {
        device: 'meter-1' as DeviceId,
        link: plantRoom,
        driver: 'rtu',
        state: 'online',
        points: 4,
        lastGoodAgeMs: 800,
      },
      {
        device: 'ahu-03' as DeviceId,
        link: plantRoom,
        driver: 'rtu',
        state: 'offline',
        detail: 'no answer from unit 14',
        reason: 'offline',
        points: 2,
        lastGoodAgeMs: 72 * minute,
      },
      {
        device: 'pv-roof' as DeviceId,
        link: roof,
        driver: 'tcp',
        state: 'degraded',
        points: 1,
        lastGoodAgeMs: 2_000,
      },
    ],
    links: [
      {
        link: plantRoom,
        driver: 'rtu',
        state: 'open',
        load: 0.62,
        skippedTicks: 3,
        latenessMs: 12,
      },
      { link: roof, driver: 'tcp', state: 'open', load: 0.02, skippedTicks: 0, latenessMs: 1 },
    ],
    drivers: [
      { plugin: 'fieldbus', state: 'running', pid: 812, restarts: 0, rssBytes: 58_000_000 },
      {
        plugin: 'telemetry-x',
        state: 'backoff',
        restarts: 3,
        detail: 'it used more memory than its limit of 128 MB',
      },
    ],
    outbox: {
      pending: 12,
      oldestAgeMs: 3_000,
      fileBytes: 25_000_000,
      walBytes: 1_200_000,
      maxBytes: 2_147_483_648,
      deadLetters: 1,
      lost: 0,
      commits: 84_211,
      committedEvents: 5_120_377,
      bytesWritten: 610_443_222,
      queued: 0,
      commitP50Ms: 2.1,
      commitP99Ms: 9.4,
      checksumErrors: 0,
    },
    uplinks: [
      {
        tenant,
        state: 'connected',
        url: 'mqtts://in.example:8883',
        protocol: 'mqtt5',
        ackLevel: 'cloud',
        forMs: 3 * day + 2 * hour,
        lastAckAgeMs: 2_000,
        inflight: 1,
        reconnects: 4,
        published: 84_000,
        acked: 83_999,
      },
    ],
    conditions: [
      condition('dead-letters', tenant, 'One event was refused with reason 0x99.', 26 * minute),
      condition('device-offline', 'ahu-03', 'No answer from unit 14 for 5 requests.', 72 * minute),
    ],
    modules: [{ name: 'summary', state: 'running' }],
    clockSynced: true,
  };
}

/** An envelope of wire contract riser/1 with some readings. */
export function envelope(
  sequence: number,
  lane: Lane = 'live',
  data: object = {
    n: 2,
    t0: 1_795_167_660_120,
    points: ['meter-1/ac.l1.voltage', 'ahu-03/supply.temperature'],
    r: [
      [0, 0, 230.5],
      [1, 40, null, 'timeout'],
    ],
  },
): string {
  return JSON.stringify({
    specversion: '1.0',
    id: `k3f9c2.${sequence}`,
    source: `//gw-7f3a/${tenant}/${lane}`,
    type: 'riser.readings.v1',
    time: '2026-11-20T09:41:00.120Z',
    datacontenttype: 'application/json',
    dataschema: 'urn:riser:readings:1.0',
    tenantid: tenant,
    sequence: sequenceText(sequence),
    data,
  });
}

/** A gateway for tests of its faces: everything that it answers can be replaced. */
export class ControlFake implements Control {
  current: GatewayStatus = fakeStatus();
  isLive = true;
  latestValues: readonly LatestValue[] = [
    latest('meter-1', 'ac.l1.voltage', 230.5, { unit: 'V' }),
    latest('meter-1', 'energy.import', '18446744073709551615', { unit: 'kW.h', lane: 'bulk' }),
    latest('meter-1', 'breaker.closed', true),
    latest('meter-1', 'ac.l1.current', 0, { unit: 'A' }),
    latest('ahu-03', 'supply.temperature', null, {
      reason: 'offline',
      unit: 'Cel',
      ageMs: 72 * minute,
      stale: true,
    }),
    latest('ahu-03', 'valve.position', null, { reason: 'refused', unit: '%' }),
    latest('pv-roof', 'ac.power', 4200, {
      quality: 'uncertain',
      reason: 'out-of-range',
      unit: 'W',
      ageMs: 2_000,
    }),
  ];
  /** Envelopes of each stream by `tenant/lane`. */
  envelopes = new Map<string, readonly string[]>([
    [`${tenant}/live`, [envelope(1), envelope(3), envelope(5)]],
    [`${tenant}/alarm`, [envelope(1, 'alarm', { code: 'device-offline', subject: 'ahu-03' })]],
  ]);
  applied: ApplyResult = {
    applied: true,
    revision: '5b1c22d3',
    findings: [],
    added: ['meter-2'],
    changed: ['ahu-03'],
    removed: [],
    restartNeeded: ['http.port'],
  };
  /** What read() waits for before it answers. */
  beforeRead: (signal: AbortSignal) => Promise<void> = async () => {};
  readonly reads: { device: string; points: readonly string[] }[] = [];
  readonly listeners = new Set<(values: readonly LatestValue[]) => void>();
  peeks = 0;
  offered: readonly Action[] = [];
  readonly ran: ActionRequest[] = [];
  onAction: (request: ActionRequest, signal: AbortSignal) => RunningAction = () => {
    throw new GatewayError('ACTION_UNKNOWN', 'the fake gateway has no actions');
  };

  status(): GatewayStatus {
    return this.current;
  }

  live(): boolean {
    return this.isLive;
  }

  ready(): boolean {
    return this.current.ready;
  }

  values(device?: string): readonly LatestValue[] {
    return this.latestValues.filter((value) => device === undefined || value.device === device);
  }

  async read(
    device: string,
    points: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly LatestValue[]> {
    this.reads.push({ device, points });
    await this.beforeRead(signal);
    const all = this.values(device);
    if (all.length === 0)
      throw new GatewayError('DEVICE_UNKNOWN', `there is no device "${device}"`);
    if (points.length === 0) return all;
    return points.map((name) => {
      const found = all.find(({ point }) => point === `${device}/${name}`);
      if (found === undefined) {
        throw new GatewayError('POINT_UNKNOWN', `device ${device} has no point "${name}"`);
      }
      return found;
    });
  }

  watch(listener: (values: readonly LatestValue[]) => void, signal: AbortSignal): void {
    this.listeners.add(listener);
    signal.addEventListener('abort', () => this.listeners.delete(listener), { once: true });
  }

  /** Tells the watchers as if these values had been committed. */
  commit(...values: readonly LatestValue[]): void {
    for (const listener of this.listeners) listener(values);
  }

  streams(): readonly Stream[] {
    return [...this.envelopes].map(([key, envelopes], index) => {
      const [name, lane] = key.split('/') as [TenantId, Lane];
      return {
        sid: index + 1,
        tenant: name,
        lane,
        epoch: 'k3f9c2',
        oldest: 1,
        next: lane === 'live' ? envelopes.length * 2 + 1 : envelopes.length + 1,
        bytes: envelopes.join('').length,
        closed: false,
      };
    });
  }

  async peek(
    tenantName: string,
    lane: string,
    after: number,
    limit: number,
  ): Promise<readonly string[]> {
    this.peeks += 1;
    const all = this.envelopes.get(`${tenantName}/${lane}`) ?? [];
    // Like the outbox: it begins with the batch that holds the next sequence.
    const lastOf = (text: string) => {
      const { sequence, data } = JSON.parse(text) as { sequence: string; data: { n?: number } };
      return Number(sequence) + (data.n ?? 1) - 1;
    };
    return all.filter((text) => lastOf(text) > after).slice(0, limit);
  }

  async deadLetters(limit: number): Promise<readonly DeadLetter[]> {
    const letter: DeadLetter = {
      id: 1,
      consumer: 'uplink',
      tenant,
      lane: 'live',
      epoch: 'k3f9c2',
      sequence: 99_412,
      n: 40,
      reason: 'refused by the broker with reason 0x99 (payload format invalid)',
      at: Date.UTC(2026, 10, 19, 22, 5, 11),
      bytes: 1_312,
    };
    return [letter].slice(0, limit);
  }

  async applyConfig(): Promise<ApplyResult> {
    return this.applied;
  }

  actions(): readonly Action[] {
    return this.offered;
  }

  runAction(request: ActionRequest, signal: AbortSignal): RunningAction {
    this.ran.push(request);
    return this.onAction(request, signal);
  }
}
