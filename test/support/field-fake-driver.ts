import type { Driver, DriverError, PointRequest, PointResult } from '../../src/driver/index.ts';
import type { FakeClock } from './field-fake-clock.ts';

/** How a fake device behaves at present. */
export interface FakeUnit {
  /** Time that one read takes, milliseconds. */
  takesMs: number;
  /** Rejects with this after takesMs. */
  fails?: DriverError | undefined;
  /** Never settles, not even when it is told to stop. */
  never?: boolean;
}

export interface FakeRead {
  readonly device: string;
  readonly points: readonly string[];
  readonly at: number;
}

/** A driver in fake time. It answers in the time that a test gives it, and keeps what it was asked. */
export class FakeDriver implements Driver {
  readonly units = new Map<string, FakeUnit>();
  readonly reads: FakeRead[] = [];
  readonly calls: string[] = [];
  /** Rejects the next connects. */
  refuse: DriverError | undefined;
  open = 0;
  mostOpen = 0;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  connect(): Promise<void> {
    this.calls.push('connect');
    return this.refuse === undefined ? Promise.resolve() : Promise.reject(this.refuse);
  }

  close(): Promise<void> {
    this.calls.push('close');
    return Promise.resolve();
  }

  validateDevice(): [] {
    return [];
  }

  addDevice(device: { readonly id: string }): Promise<void> {
    this.calls.push(`add ${device.id}`);
    return Promise.resolve();
  }

  removeDevice(id: string): Promise<void> {
    this.calls.push(`remove ${id}`);
    return Promise.resolve();
  }

  reconfigure(): Promise<'applied'> {
    this.calls.push('reconfigure');
    return Promise.resolve('applied');
  }

  read(
    device: string,
    points: readonly PointRequest[],
    signal: AbortSignal,
  ): Promise<readonly PointResult[]> {
    const at = this.#clock.monotonic();
    this.reads.push({ device, points: points.map(({ pointId }) => pointId), at });
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    const { takesMs, fails, never = false } = this.units.get(device) ?? { takesMs: 1 };
    return new Promise((resolve, reject) => {
      if (never) return;
      const settle = (how: () => void) => {
        timer[Symbol.dispose]();
        this.open -= 1;
        how();
      };
      const timer = this.#clock.setTimeout(() => {
        settle(() => {
          if (fails !== undefined) reject(fails);
          else resolve(points.map(({ pointId }) => good(pointId, this.#clock.wall())));
        });
      }, takesMs);
      signal.addEventListener('abort', () => settle(() => reject(signal.reason)), { once: true });
    });
  }

  health(): { readonly status: 'ok' } {
    return { status: 'ok' };
  }
}

const good = (pointId: string, time: number): PointResult => ({
  pointId,
  time,
  value: 1,
  quality: 'good',
});
