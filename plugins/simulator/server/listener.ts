import { createServer, type Server, type Socket } from 'node:net';
import { type Delivery, faultyDelivery, plainDelivery } from '../faults/delivery.ts';
import { type Decision, FaultInjector } from '../faults/injector.ts';
import { type ListenerConfig, seedOf, type UnitConfig } from '../link-config.ts';
import { answerRequest } from '../modbus/answer.ts';
import { exceptionAnswer, type Frame } from '../modbus/frame.ts';
import { targetOf } from '../modbus/request.ts';
import { CounterUnit } from '../models/counter-unit.ts';
import { ImageUnit } from '../models/image-unit.ts';
import { LiveUnit } from '../models/live-unit.ts';
import { MeterBehaviour } from '../models/meter-behaviour.ts';
import { PumpBehaviour } from '../models/pump-behaviour.ts';
import { exceptions, type UnitMemory } from '../models/unit.ts';
import { type Random, seededRandom } from '../prng.ts';
import { Connection, type Exchange, type Reply } from './connection.ts';
import { Line } from './line.ts';
import type { Runtime } from './runtime.ts';

/** What one listener, or all together, have seen since they were opened. */
export interface Counters {
  readonly requests: number;
  /** Open at this moment. */
  readonly connections: number;
  readonly faultsInjected: number;
  /** Clients that were refused or ended because they broke a rule or were one too many. */
  readonly cutOff: number;
}

interface Unit {
  readonly config: UnitConfig;
  readonly memory: UnitMemory;
  readonly faults: FaultInjector;
}

const nothing: Delivery = { segments: [], gapMs: 0, lateMs: 0, afterwards: 'stay' };
const inspectEveryMs = 1000;

/** One TCP endpoint with the units behind it. */
export class Listener implements Exchange {
  readonly #config: ListenerConfig;
  readonly #runtime: Runtime;
  readonly #time: () => number;
  readonly #units: ReadonlyMap<number, Unit>;
  readonly #faults: FaultInjector;
  readonly #random: Random;
  readonly #sharedLine: Line | undefined;
  readonly #connections = new Set<Connection>();
  readonly #openedAt: number;
  #server: Server | undefined;
  #inspection: Disposable | undefined;
  #requests = 0;
  #faultsInjected = 0;
  #cutOff = 0;

  /** `place`: of the listener in its link. `time`: what its devices take for the time. */
  constructor(
    config: ListenerConfig,
    place: number,
    seed: number,
    runtime: Runtime,
    time: () => number,
  ) {
    this.#config = config;
    this.#runtime = runtime;
    this.#time = time;
    this.#units = new Map(
      config.units.map((unit) => [
        unit.unit,
        {
          config: unit,
          memory: memoryOf(unit, place),
          faults: new FaultInjector(unit.faults ?? [], seed + place * 256 + unit.unit + 1),
        },
      ]),
    );
    this.#faults = new FaultInjector(config.faults ?? [], seed + place * 256);
    this.#random = seededRandom(seed + place);
    this.#sharedLine = config.serialise === true ? new Line(runtime) : undefined;
    this.#openedAt = runtime.monotonic();
  }

  get turnaroundMs(): number {
    return this.#config.turnaroundMs ?? 0;
  }

  get idleTimeoutMs(): number {
    return this.#config.idleTimeoutMs ?? 300_000;
  }

  get host(): string {
    return this.#config.host ?? '127.0.0.1';
  }

  /** The port that is really bound; that of the config while the listener is closed. */
  get port(): number {
    const address = this.#server?.address() ?? null;
    return address === null || typeof address === 'string' ? this.#config.port : address.port;
  }

  get units(): readonly UnitConfig[] {
    return this.#config.units;
  }

  get counters(): Counters {
    return {
      requests: this.#requests,
      connections: this.#connections.size,
      faultsInjected: this.#faultsInjected,
      cutOff: this.#cutOff,
    };
  }

  /** Rejects with the error of the operating system if the endpoint cannot be opened. */
  async open(): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    server.maxConnections = this.#config.maxConnections ?? 64;
    server.on('drop', () => this.cutOff('there are too many connections'));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#config.port, this.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
    // Errors of accepting, such as too many open files, concern the client that did not get in.
    server.on('error', (error) => this.cutOff(error.message));
    this.#server = server;
    this.#inspection = this.#runtime.setInterval(() => {
      for (const connection of this.#connections) connection.inspect();
    }, inspectEveryMs);
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#inspection?.[Symbol.dispose]();
    this.#inspection = undefined;
    this.#sharedLine?.clear();
    for (const connection of this.#connections) connection.close();
    if (server === undefined) return;
    // Settles when the last socket is gone as well, which has just been told to go.
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  received(): void {
    this.#requests += 1;
  }

  /** Faults of the endpoint are asked before those of the unit behind it. */
  decide(frame: Frame): Decision {
    const elapsed = this.#runtime.monotonic() - this.#openedAt;
    const own = this.#faults.decide(frame, elapsed);
    const unit = this.#units.get(frame.unit);
    const decision =
      own.fault !== undefined || unit === undefined
        ? own
        : added(own.slowMs, unit.faults.decide(frame, elapsed));
    if (decision.fault !== undefined || decision.slowMs > 0) this.#faultsInjected += 1;
    return decision;
  }

  reply(frame: Frame, decision: Decision): Reply {
    const { fault, exception, unreachable } = decision;
    if (unreachable === true) return { delivery: nothing, holdMs: this.#lineTimeout() };
    const unit = this.#units.get(frame.unit);
    if (unit === undefined) return this.#withoutUnit(frame);
    if (exception !== undefined) return atOnce(plainDelivery(exceptionAnswer(frame, exception)));
    const answer = answerRequest(unit.memory, frame, this.#time());
    if (fault === undefined) return atOnce(plainDelivery(answer));
    const delivery = faultyDelivery(fault, answer, this.#random);
    if (this.#sharedLine === undefined) return atOnce(delivery);
    // A serial line knows no overtaking: whoever is late or silent keeps the others waiting.
    if (fault.kind === 'silent') return { delivery, holdMs: this.#lineTimeout() };
    return { delivery: { ...delivery, lateMs: 0 }, holdMs: delivery.lateMs };
  }

  cutOff(why: string): void {
    this.#cutOff += 1;
    this.#runtime.log.debug({ host: this.host, port: this.port, why }, 'client cut off');
  }

  #accept(socket: Socket): void {
    const line = this.#sharedLine ?? new Line(this.#runtime);
    const connection = new Connection(socket, this, line, this.#runtime);
    this.#connections.add(connection);
    connection.start(() => {
      this.#connections.delete(connection);
      if (line !== this.#sharedLine) line.clear();
    });
  }

  #withoutUnit(frame: Frame): Reply {
    const target = targetOf(frame.pdu);
    if (frame.unit === 0 && target?.reads === false) {
      // A write to unit 0 is for everybody, and nobody answers (Modbus over serial line, §2.1).
      for (const { memory } of this.#units.values()) answerRequest(memory, frame, this.#time());
      return atOnce(nothing);
    }
    const silent = this.#config.absentUnits === 'silent';
    return {
      delivery: silent ? nothing : plainDelivery(exceptionAnswer(frame, exceptions.noPath)),
      holdMs: this.#lineTimeout(),
    };
  }

  /** 0 without a serial line: then nobody waits for the unit. */
  #lineTimeout(): number {
    return this.#sharedLine === undefined ? 0 : (this.#config.lineTimeoutMs ?? 1000);
  }
}

function atOnce(delivery: Delivery): Reply {
  return { delivery, holdMs: 0 };
}

function added(slowMs: number, decision: Decision): Decision {
  return slowMs === 0 ? decision : { ...decision, slowMs: decision.slowMs + slowMs };
}

function memoryOf(unit: UnitConfig, place: number): UnitMemory {
  switch (unit.model) {
    case 'meter':
      return new LiveUnit(new MeterBehaviour(seedOf(unit, place)));
    case 'pump':
      return new LiveUnit(new PumpBehaviour(seedOf(unit, place)));
    case 'image':
      return new ImageUnit(unit.image ?? {});
    case 'counter':
      return new CounterUnit();
  }
}
