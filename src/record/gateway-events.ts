import type { Part } from '../kernel/part.ts';
import type { Bus } from '../model/bus-events.ts';
import type { Clock } from '../model/clock.ts';
import type { Condition } from '../model/condition.ts';
import type { ClockData } from '../model/event.ts';
import type { Notes } from '../model/notes.ts';
import type { Recorder } from './recorder.ts';

/** How often the clock is looked at until it is synchronised. */
const clockCheckMs = 5_000;
/** A smaller correction is not worth an event. */
const clockToleranceMs = 1;

export interface GatewayEventsOptions {
  readonly recorder: Pick<Recorder, 'event'>;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly notes: Pick<Notes, 'partFailed'>;
}

/** Tells the cloud what happens to the gateway itself: conditions, configurations, its clock. */
export class GatewayEvents implements Part {
  readonly name = 'gateway-events';
  readonly #options: GatewayEventsOptions;
  readonly #stops: (() => void)[] = [];
  #wallMinusMonotonic = 0;
  #clockTimer: Disposable | undefined;

  constructor(options: GatewayEventsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { bus, clock } = this.#options;
    this.#stops.push(
      bus.on('condition-raised', (condition) => this.#condition('raised', condition)),
      bus.on('condition-cleared', (condition) => this.#condition('cleared', condition)),
      bus.on('config-applied', (revision) => this.#store('riser.config.v1', { revision })),
    );
    if (!clock.synced()) {
      this.#wallMinusMonotonic = clock.wall() - clock.monotonic();
      this.#watchClock();
    }
  }

  async close(): Promise<void> {
    this.#clockTimer?.[Symbol.dispose]();
    for (const stop of this.#stops.splice(0)) stop();
  }

  #condition(state: 'raised' | 'cleared', condition: Condition): void {
    const { code, subject, severity, title, text, since } = condition;
    this.#store('riser.condition.v1', { state, code, subject, severity, title, text, since });
  }

  #watchClock(): void {
    const { clock } = this.#options;
    this.#clockTimer = clock.setTimeout(() => {
      if (!clock.synced()) {
        this.#watchClock();
        return;
      }
      const offsetMs = Math.round(clock.wall() - clock.monotonic() - this.#wallMinusMonotonic);
      const data: ClockData = {
        bootid: clock.bootId,
        offsetMs: Math.abs(offsetMs) < clockToleranceMs ? 0 : offsetMs,
      };
      this.#store('riser.clock.v1', data);
    }, clockCheckMs);
  }

  /** Losing one of these is no loss of a reading; it is noted and the gateway goes on. */
  #store(type: Parameters<Recorder['event']>[0], data: object): void {
    this.#options.recorder.event(type, data).catch((error: unknown) => {
      this.#options.notes.partFailed({ part: this.name, error });
    });
  }
}
