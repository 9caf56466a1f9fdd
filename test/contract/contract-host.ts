import type { DriverError, DriverHost } from '#driver';

/** Where the clocks of the kit begin: far from those of the machine, so that a foreign one shows. */
const wallOrigin = Date.UTC(2041, 0, 1);
const monotonicOrigin = 7_000_000;

/**
 * A DriverHost that sees what a driver does with it. Its clocks and timers run `speed` times as
 * fast as those of the machine: an hour of waiting can be over in a minute.
 */
export class ContractHost implements DriverHost {
  readonly linkId = 'contract';
  readonly apiVersion = '1.0';
  /** Why the driver gave its link up, oldest first. */
  readonly lost: DriverError[] = [];
  /** Everything that the driver told: log fields, metrics, reasons. */
  readonly told: unknown[] = [];
  readonly log = {
    debug: (fields: object, message: string) => this.#tell({ fields, message }),
    info: (fields: object, message: string) => this.#tell({ fields, message }),
    warn: (fields: object, message: string) => this.#tell({ fields, message }),
    error: (fields: object, message: string) => this.#tell({ fields, message }),
  };
  speed = 1;
  readonly #timers = new Set<NodeJS.Timeout>();
  #realAt = performance.now();
  #hostMs = 0;

  now(): number {
    return wallOrigin + Math.floor(this.#elapsed());
  }

  monotonic(): number {
    return monotonicOrigin + this.#elapsed();
  }

  setTimeout(fn: () => void, ms: number): Disposable {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      fn();
    }, ms / this.speed);
    return this.#held(timer, () => clearTimeout(timer));
  }

  setInterval(fn: () => void, ms: number): Disposable {
    const timer = setInterval(fn, ms / this.speed);
    return this.#held(timer, () => clearInterval(timer));
  }

  metric(name: string, value: number, labels?: Readonly<Record<string, string>>): void {
    this.#tell({ name, value, labels: labels ?? null });
  }

  connectionLost(reason: DriverError): void {
    this.#tell(reason);
    this.lost.push(reason);
  }

  /** Timers that are still waiting. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Lets the clocks run faster from now on; they never go back. */
  hurry(speed: number): void {
    this.#hostMs = this.#elapsed();
    this.#realAt = performance.now();
    this.speed = speed;
  }

  #elapsed(): number {
    return this.#hostMs + (performance.now() - this.#realAt) * this.speed;
  }

  #held(timer: NodeJS.Timeout, end: () => void): Disposable {
    this.#timers.add(timer);
    return {
      [Symbol.dispose]: () => {
        end();
        this.#timers.delete(timer);
      },
    };
  }

  /** The newest 1000: a long run must not look like a leak of the driver. */
  #tell(what: unknown): void {
    this.told.push(what);
    if (this.told.length > 1_000) this.told.shift();
  }
}
