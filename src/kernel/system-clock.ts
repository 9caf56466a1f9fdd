import { existsSync, readFileSync } from 'node:fs';
import type { Clock } from '../model/clock.ts';

/** Made by systemd-timesyncd and by chrony's wait unit once the clock has been set. */
const syncFlags = ['/run/systemd/timesync/synchronized', '/run/chrony/synchronized'];
/** Node has no adjtimex: the flag files are looked at this often. */
const syncCheckMs = 10_000;
/** Node fires a timer of more than 31 bits at once: https://nodejs.org/api/timers.html#settimeoutcallback-delay-args */
const longestTimerMs = 2 ** 31 - 1;

/** The clock of the machine. */
export class SystemClock implements Clock {
  readonly bootId: string;
  #synced = false;
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(bootId: string) {
    this.bootId = bootId;
  }

  wall(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now();
  }

  synced(): boolean {
    const now = performance.now();
    if (now - this.#checkedAt >= syncCheckMs) {
      this.#checkedAt = now;
      this.#synced =
        syncFlags.some((file) => existsSync(file)) || process.env.RISER_CLOCK_SYNCED === '1';
    }
    return this.#synced;
  }

  setTimeout(fn: () => void, ms: number): Disposable {
    const timer = setTimeout(fn, Math.min(ms, longestTimerMs)).unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }
}

/** The kernel's name of this boot; a new random one where the kernel does not tell. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return crypto.randomUUID();
  }
}
