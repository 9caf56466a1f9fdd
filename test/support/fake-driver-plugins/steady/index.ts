import type { DeviceConfig, Driver, DriverFactory, PointRequest, PointResult } from '#driver';

/** Answers every point at once with the number of reads of its device so far. Config `refuse: true`: cannot be opened. */
const factory: DriverFactory = (host): Driver => {
  const reads = new Map<string, number>();
  const added = new Map<string, number>();
  const pause = (ms: number, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const stop = () => {
        timer[Symbol.dispose]();
        reject({ kind: 'closed', message: 'stopped' });
      };
      const timer = host.setTimeout(() => {
        signal.removeEventListener('abort', stop);
        resolve();
      }, ms);
      signal.addEventListener('abort', stop, { once: true });
    });
  return {
    connect(config) {
      const { refuse = false } = config as { refuse?: boolean };
      return refuse
        ? Promise.reject({ kind: 'link-down', message: 'nobody listens there' })
        : Promise.resolve();
    },
    close: () => Promise.resolve(),
    validateDevice: (device: DeviceConfig) =>
      (device.address as { unit?: number }).unit === 13
        ? [{ path: '/address/unit', message: 'unit 13 brings bad luck', code: 'UNLUCKY' }]
        : [],
    validateLink: (link) =>
      (link as { slow?: boolean }).slow === true
        ? [{ path: '/link/slow', message: 'this link is slow', severity: 'warning' }]
        : [],
    addDevice(device) {
      added.set(device.id, (added.get(device.id) ?? 0) + 1);
      return Promise.resolve();
    },
    removeDevice: () => Promise.resolve(),
    reconfigure(change) {
      host.log.info({ device: change.device?.id ?? 'none' }, 'reconfigured');
      return Promise.resolve('applied' as const);
    },
    async read(deviceId, points: readonly PointRequest[], signal) {
      const count = (reads.get(deviceId) ?? 0) + 1;
      reads.set(deviceId, count);
      await pause(1, signal);
      return points.map(({ pointId, address }): PointResult => {
        const { refused = false, big = false } = (address ?? {}) as {
          refused?: boolean;
          big?: boolean;
        };
        if (refused) {
          const error = { kind: 'refused', message: 'no such register' } as const;
          return { pointId, time: host.now(), quality: 'bad', error };
        }
        const value = big ? 2n ** 60n : count;
        return { pointId, time: host.now(), value, quality: 'good' };
      });
    },
    async *action(_name, args, signal) {
      const { to } = args as { to: number };
      for (let n = 1; n <= to; n += 1) {
        signal.throwIfAborted();
        yield { kind: 'row' as const, row: { n } };
      }
    },
    health: () => ({ status: 'ok' }),
  };
};

// biome-ignore lint/style/noDefaultExport: a plugin is loaded by its default export
export default factory;
