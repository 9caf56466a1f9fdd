import type { DeviceConfig, Driver, DriverError, Json, PointRequest, PointResult } from '#driver';
import type { Clock } from '../../model/clock.ts';
import { boundedCall } from './bounded-call.ts';
import { DeviceLane } from './device-lane.ts';
import { DeviceReader } from './device-reader.ts';
import { asDriverError } from './driver-error.ts';
import type { LinkLimits } from './limits.ts';
import { LinkConnection } from './link-connection.ts';
import { LinkPoller, silent } from './link-poller.ts';
import type { Errand } from './link-queue.ts';
import type { LinkReport, PlanLane } from './messages.ts';
import type { GroupToPlan } from './poll-plan.ts';
import { allBad } from './results.ts';

/** What a link tells the program that runs it. */
export interface LinkListener {
  results(device: string, lane: PlanLane, results: readonly PointResult[]): void;
  opened(): void;
  failed(error: DriverError): void;
  lost(error: DriverError): void;
  /** The state of the link or of a device changed: worth a report before the next ping. */
  changed(): void;
}

export interface LinkRunnerOptions {
  readonly link: string;
  readonly driver: Driver;
  readonly config: Json;
  /** Reads that may be open at the same time, from the manifest. */
  readonly concurrency: number;
  readonly clock: Clock;
  readonly limits: LinkLimits;
  readonly listener: LinkListener;
  /** Called after each close() of the driver. */
  readonly released: () => void;
}

/** Runs one link: keeps it open, knows its devices, and has them polled while it is open. */
export class LinkRunner {
  readonly #options: LinkRunnerOptions;
  readonly #connection: LinkConnection;
  readonly #poller: LinkPoller;
  readonly #devices = new Map<string, DeviceLane>();

  constructor(options: LinkRunnerOptions) {
    this.#options = options;
    const { clock, limits, driver, config, listener, concurrency, released } = options;
    const lose = (error: DriverError) => this.lose(error);
    this.#poller = new LinkPoller({
      concurrency,
      clock,
      limits,
      reader: new DeviceReader({ driver, clock, limits, stuck: lose }),
      devices: this.#devices,
      addDevice: (lane) => this.#addDevice(lane),
      tell: (lane, results) => this.#tell(lane, results),
      linkFails: lose,
      changed: () => listener.changed(),
    });
    this.#connection = new LinkConnection({
      driver,
      clock,
      limits,
      config,
      released,
      opened: () => this.#opened(),
      lost: (error) => this.#lost(error),
      failed: (error) => this.#failed(error),
    });
  }

  get driver(): Driver {
    return this.#options.driver;
  }

  get isOpen(): boolean {
    return this.#connection.state === 'open';
  }

  open(): void {
    this.#connection.open();
  }

  /** Ends the open reads as closed and closes the driver. */
  async close(): Promise<void> {
    this.#pause();
    await this.#connection.close();
  }

  /** The link is of no use any more: it is closed, and opened again after a while. */
  lose(error: DriverError): void {
    this.#connection.lose(error);
  }

  /** Takes a new configuration over; opens the link anew if the driver wants that. */
  async reconfigure(config: Json): Promise<DriverError | undefined> {
    if (this.isOpen) {
      const called = await this.#change((signal) =>
        this.driver.reconfigure({ link: config }, signal),
      );
      if (called.outcome === 'failed') return asDriverError(called.error);
      if (called.outcome === 'done' && called.result === 'applied') {
        this.#connection.adopt(config);
        return undefined;
      }
    }
    this.#connection.reopen({ kind: 'closed', message: 'the link was reconfigured' }, config);
    return undefined;
  }

  /** Adds a device or gives it another configuration; the polling of the others goes on. */
  async setDevice(config: DeviceConfig): Promise<DriverError | undefined> {
    const lane = this.#devices.get(config.id) ?? this.#newLane(config);
    if (!this.isOpen || !lane.added) {
      lane.config = config;
      return this.isOpen ? this.#addDevice(lane) : undefined;
    }
    const called = await this.#change((signal) =>
      this.driver.reconfigure({ device: config }, signal),
    );
    // What the driver refuses does not become the configuration that it gets at the next opening.
    if (called.outcome === 'failed') return asDriverError(called.error);
    lane.config = config;
    if (called.outcome === 'hung' || called.result === 'reopen') {
      this.#connection.reopen({ kind: 'closed', message: `device ${config.id} was changed` });
    } else if (lane.breaker.state !== 'closed') {
      this.#poller.recover(lane);
    }
    return undefined;
  }

  /** Forgets a device and its plan. */
  async removeDevice(id: string): Promise<DriverError | undefined> {
    const lane = this.#devices.get(id);
    if (lane === undefined) return undefined;
    this.#devices.delete(id);
    this.#poller.forget(lane);
    lane.stop?.abort(closing);
    const called = await this.#change(() => this.driver.removeDevice(id));
    return called.outcome === 'failed' ? asDriverError(called.error) : undefined;
  }

  /** Polls a group from now on. What cannot be read at present is told at once. */
  plan(group: GroupToPlan): void {
    const lane = this.#devices.get(group.device);
    if (lane === undefined) return;
    for (const point of group.points) lane.setLane(point.pointId, point.lane);
    this.#poller.plan(group);
    const wall = this.#options.clock.wall();
    if (this.#connection.state === 'waiting') {
      this.#tell(lane, allBad(group.points, wall, this.#linkDown()));
    } else if (lane.breaker.state !== 'closed') {
      this.#tell(lane, allBad(group.points, wall, silent(lane)));
    }
  }

  unplan(device: string, group: string): void {
    this.#poller.unplan(device, group);
  }

  /** Reads now, past the plan and past the breaker. One result for each point, whatever happens. */
  async readNow(
    device: string,
    points: readonly PointRequest[],
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<readonly PointResult[]> {
    const bad = (error: DriverError) => allBad(points, this.#options.clock.wall(), error);
    const lane = this.#devices.get(device);
    if (lane === undefined) return bad(internal(`the link has no device ${device}`));
    if (!this.isOpen) return bad(this.#linkDown());
    const results = await this.#poller.readNow(lane, points, deadlineMs, signal);
    if (results !== undefined) return results;
    return this.isOpen
      ? bad({ kind: 'busy', message: 'too much is asked of the link at present' })
      : bad(this.#linkDown());
  }

  /** Puts something else into the queue of the link. False when it is not open or too much waits. */
  run(errand: Errand): boolean {
    return this.#poller.run(errand);
  }

  report(): LinkReport {
    const { error, state } = this.#connection;
    return {
      link: this.#options.link,
      state,
      ...(error !== undefined && { error }),
      ...this.#poller.report(),
      devices: [...this.#devices.values()].map(({ id, breaker }) => ({
        device: id,
        breaker: breaker.state,
        failures: breaker.failures,
        ...(breaker.error !== undefined && { error: breaker.error }),
      })),
    };
  }

  #newLane(config: DeviceConfig): DeviceLane {
    const lane = new DeviceLane(config, this.#options.limits.breaker);
    this.#devices.set(config.id, lane);
    return lane;
  }

  #opened(): void {
    const { listener } = this.#options;
    this.#poller.resume();
    listener.opened();
    listener.changed();
    for (const lane of this.#devices.values()) {
      this.#addDevice(lane).catch((error: unknown) => this.lose(asDriverError(error)));
    }
  }

  #lost(error: DriverError): void {
    this.#pause();
    this.#options.listener.lost(error);
    // Opened anew at once, because its configuration changed: that is no outage.
    if (error.kind === 'closed') this.#options.listener.changed();
    else this.#tellLinkDown();
  }

  #failed(error: DriverError): void {
    this.#options.listener.failed(error);
    this.#tellLinkDown();
  }

  #pause(): void {
    this.#poller.pause();
    for (const lane of this.#devices.values()) {
      lane.added = false;
      lane.stop?.abort(closing);
    }
  }

  async #addDevice(lane: DeviceLane): Promise<DriverError | undefined> {
    lane.added = false;
    const called = await this.#change((signal) => this.driver.addDevice(lane.config, signal));
    // Closed or removed meanwhile: it is added again when the link is open.
    if (!this.isOpen || this.#devices.get(lane.id) !== lane) return closing;
    if (called.outcome === 'done') {
      lane.added = true;
      this.#poller.begin(lane);
      return undefined;
    }
    const error =
      called.outcome === 'failed'
        ? asDriverError(called.error)
        : internal(`the driver did not take device ${lane.id} over in time`);
    this.#poller.trip(lane, error);
    return error;
  }

  #change<Result>(call: (signal: AbortSignal) => Promise<Result>) {
    const { clock, limits } = this.#options;
    return boundedCall(clock, limits.changeMs, limits.graceMs, call);
  }

  /** At each failed attempt to open it, so that whoever looks sees that it still is down. */
  #tellLinkDown(): void {
    const error = this.#linkDown();
    const wall = this.#options.clock.wall();
    for (const lane of this.#devices.values()) {
      this.#tell(lane, allBad(this.#poller.pointsOf(lane), wall, error));
    }
    this.#options.listener.changed();
  }

  #tell(lane: DeviceLane, results: readonly PointResult[]): void {
    if (results.length === 0) return;
    lane.sort(results, (of, sorted) => this.#options.listener.results(lane.id, of, sorted));
  }

  #linkDown(): DriverError {
    const { error } = this.#connection;
    return { kind: 'link-down', message: error?.message ?? 'the link is not open' };
  }
}

const closing: DriverError = { kind: 'closed', message: 'the link is being closed' };

const internal = (message: string): DriverError => ({ kind: 'internal', message });
