import type { DeviceConfig, DriverError, Json, PointRequest } from '#driver';
import { type Decoder, decoderOf } from './codec.ts';
import { type Block, type PlanRules, plan } from './planner.ts';
import { type ModbusPoint, parsePoint } from './point.ts';
import { readFromZero } from './quirks.ts';
import { Refusals } from './refusals.ts';
import { serialRequestCost, tcpRequestCost } from './request-cost.ts';
import { type DeviceSettings, deviceSettings, type LinkSettings } from './settings.ts';

const mostPlans = 64;

/** A point that is ready to be read. */
export interface ReadyPoint extends ModbusPoint {
  readonly decode: Decoder;
}

/** How one set of points is read. */
export interface ReadPlan {
  readonly blocks: ReadonlyArray<Block<ReadyPoint>>;
  /** Points that were asked for, with the ones that could be parsed. */
  readonly asked: ReadonlyArray<{ readonly pointId: string; readonly point?: ReadyPoint }>;
  /** Points that are not asked of the device, and why. */
  readonly settled: ReadonlyMap<string, DriverError>;
}

interface KnownPlan {
  readonly revision: number;
  readonly plan: ReadPlan;
}

/** One device: its settings, its points, what it refused, and the plans made for it. */
export class ModbusDevice {
  readonly id: string;
  readonly config: DeviceConfig;
  readonly settings: DeviceSettings;
  readonly refusals = new Refusals();
  /** Blocks that timed out last time are asked last, so that one of them cannot starve the rest. */
  readonly silent = new Set<string>();
  /** Monotonic time at which each point was last written, or may have been. */
  readonly writtenAt = new Map<string, number>();
  lastGood: number | undefined;
  consecutiveFailures = 0;
  readonly #declared: ReadonlyMap<string, PointRequest>;
  readonly #points = new Map<string, { readonly address: Json; readonly point: ReadyPoint }>();
  readonly #plans = new Map<string, KnownPlan>();
  // The host polls a group with the same array each time: no need to look inside.
  readonly #planOfArray = new WeakMap<ReadonlyArray<PointRequest>, KnownPlan>();

  constructor(config: DeviceConfig, link: LinkSettings) {
    this.id = config.id;
    this.config = config;
    this.settings = deviceSettings(config, link);
    this.#declared = new Map(config.options.points.map((point) => [point.pointId, point]));
  }

  /** The plan for a set of points; the same set gets the same plan until something is learnt. */
  planFor(requests: ReadonlyArray<PointRequest>, now: number): ReadPlan {
    const revision = this.refusals.revision(now);
    const known = this.#planOfArray.get(requests);
    if (known?.revision === revision) return known.plan;
    const key = JSON.stringify(requests);
    const same = this.#plans.get(key);
    if (same?.revision === revision) {
      this.#planOfArray.set(requests, same);
      return same.plan;
    }
    const made = { revision, plan: this.#makePlan(requests, now) };
    if (this.#plans.size >= mostPlans) this.#plans.clear();
    this.#plans.set(key, made);
    this.#planOfArray.set(requests, made);
    return made.plan;
  }

  #makePlan(requests: ReadonlyArray<PointRequest>, now: number): ReadPlan {
    const settled = new Map<string, DriverError>();
    const good = new Map<string, ReadyPoint>();
    const onTrial = new Map<string, ReadyPoint>();
    const add = (request: PointRequest): ReadyPoint | undefined => {
      const point = this.#pointOf(request, settled);
      if (point === undefined) return undefined;
      const standing = this.refusals.standing(point, now);
      if (standing === 'good') good.set(point.id, point);
      else if (standing === 'on-trial') onTrial.set(point.id, point);
      else settled.set(point.id, this.#refusedError(standing.refusedWith));
      return point;
    };
    const asked = requests.map((request) => {
      const point = add(request);
      return { pointId: request.pointId, ...(point !== undefined && { point }) };
    });
    for (const { point } of asked) {
      const from = point?.scaleFrom;
      if (from === undefined || good.has(from) || onTrial.has(from) || settled.has(from)) continue;
      const factor = this.#declared.get(from);
      if (factor !== undefined) add(factor);
    }
    const rules = this.#rules(now);
    const blocks = [good, onTrial].flatMap((points) => {
      const planned = plan([...points.values()], rules);
      return this.settings.quirks.firstReadAtZero
        ? readFromZero(planned, this.settings.maxBits)
        : planned;
    });
    return { blocks, asked, settled };
  }

  #pointOf(request: PointRequest, settled: Map<string, DriverError>): ReadyPoint | undefined {
    const known = this.#points.get(request.pointId);
    if (known !== undefined && sameJson(known.address, request.address)) return known.point;
    try {
      const parsed = parsePoint(request.pointId, request.address);
      const point: ReadyPoint = { ...parsed, decode: decoderOf(parsed) };
      this.#points.set(request.pointId, { address: request.address, point });
      return point;
    } catch (error) {
      settled.set(request.pointId, { kind: 'bad-address', message: (error as Error).message });
      return undefined;
    }
  }

  #refusedError(code: number): DriverError {
    if (this.settings.quirks.noValueExceptions.has(code)) return noValueError(code);
    return {
      kind: 'refused',
      message: 'the device refused this address; it is asked again within the hour',
      code: `exception ${code}`,
    };
  }

  #rules(now: number): PlanRules {
    return planRules(this.settings, this.refusals, now);
  }
}

/** The rules for planning reads of a device, with what it refused if that is known. */
export function planRules(
  settings: DeviceSettings,
  refusals: Pick<Refusals, 'isCut' | 'isHole'> | undefined,
  now: number,
): PlanRules {
  const { maxRegisters, maxBits, maxGap, holes, line, interRequestMs, turnaroundMs } = settings;
  return {
    maxRegisters,
    maxBits,
    maxGap,
    cost:
      line === undefined
        ? tcpRequestCost(interRequestMs)
        : serialRequestCost(line, interRequestMs, turnaroundMs),
    isHole: (table, from, to) =>
      holes.some(([first, last]) => first <= to && last >= from) ||
      (refusals?.isHole(table, from, to) ?? false),
    isCut: (table, address) => refusals?.isCut(table, address, now) ?? false,
  };
}

/** Whether two configurations say the same. */
export function sameJson(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** What an exception means that stands for "no value" with this device. */
export function noValueError(code: number): DriverError {
  return {
    kind: 'not-available',
    message: 'the device answered with the exception that stands for "no value"',
    code: `exception ${code}`,
  };
}
