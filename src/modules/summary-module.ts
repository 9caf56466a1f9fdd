import type { GatewayModule, ModuleContext, ModuleHealth } from '../kernel/module-context.ts';
import type { DeviceId } from '../model/ids.ts';
import type { Quality, Reading } from '../model/reading.ts';

/** Five minutes past each hour, away from whatever else happens on the hour. */
const everyHour = '5 * * * *';
/** Devices that are told apart; a gateway has fewer. */
const mostDevices = 10_000;

/** Counts what is committed and tells once an hour: readings by quality, devices, share of bad. */
export class SummaryModule implements GatewayModule {
  readonly name = 'summary';
  #context: ModuleContext | undefined;
  #since = 0;
  #byQuality: Record<Quality, number> = { good: 0, uncertain: 0, bad: 0 };
  readonly #devices = new Map<DeviceId, { readings: number; bad: number }>();

  onInit(context: ModuleContext): void {
    this.#context = context;
    this.#reset();
  }

  onEnable(): void {
    this.#context?.bus.on('readings-committed', (readings) => this.#count(readings));
    this.#context?.jobs.schedule('hourly', everyHour, async () => this.#tell());
  }

  onDisable(): void {
    // Also at the stop of the gateway: the last part of an hour is told as well.
    if (this.#total() > 0) this.#tell();
    this.#context = undefined;
  }

  onHealthCheck(): ModuleHealth {
    return this.#context === undefined ? { ok: false, text: 'it was not started' } : { ok: true };
  }

  #count(readings: readonly Reading[]): void {
    for (const { device, quality } of readings) {
      this.#byQuality[quality] += 1;
      const known = this.#devices.get(device);
      if (known === undefined && this.#devices.size >= mostDevices) continue;
      const counts = known ?? { readings: 0, bad: 0 };
      counts.readings += 1;
      if (quality === 'bad') counts.bad += 1;
      if (known === undefined) this.#devices.set(device, counts);
    }
  }

  #tell(): void {
    const context = this.#context;
    if (context === undefined) return;
    const { good, uncertain, bad } = this.#byQuality;
    const counts = [...this.#devices.values()];
    context.notes.summary({
      minutes: Math.round((context.clock.monotonic() - this.#since) / 60_000),
      readings: this.#total(),
      good,
      uncertain,
      bad,
      devices: counts.length,
      devicesWithBad: counts.filter((device) => device.bad > 0).length,
      devicesOnlyBad: counts.filter((device) => device.bad === device.readings).length,
    });
    this.#reset();
  }

  #total(): number {
    const { good, uncertain, bad } = this.#byQuality;
    return good + uncertain + bad;
  }

  #reset(): void {
    this.#since = this.#context?.clock.monotonic() ?? 0;
    this.#byQuality = { good: 0, uncertain: 0, bad: 0 };
    this.#devices.clear();
  }
}
