import type {
  DeviceConfig,
  Driver,
  DriverError,
  DriverHealth,
  DriverHost,
  Json,
  PointRequest,
  PointResult,
} from '#driver';
import { LineConnection, type LineLink } from './line-connection.ts';
import { parseValue } from './parse-value.ts';

type Keys = { readonly prefix?: string; readonly item?: string } | null;

/** Reads values by name: "GET temp" is answered with "21.5". */
export class LineDriver implements Driver {
  readonly #host: DriverHost;
  readonly #devices = new Map<string, DeviceConfig>();
  #connection: LineConnection | undefined;
  #config: Json = null;

  constructor(host: DriverHost) {
    this.#host = host;
  }

  async connect(config: Json, signal: AbortSignal): Promise<void> {
    await this.close();
    this.#config = config;
    this.#connection = new LineConnection(this.#host, config as unknown as LineLink);
    await this.#connection.open(signal);
  }

  async close(): Promise<void> {
    this.#connection?.close();
  }

  /** Only what a schema cannot say belongs here. */
  validateDevice() {
    return [];
  }

  async addDevice(device: DeviceConfig): Promise<void> {
    this.#devices.set(device.id, device);
  }

  async removeDevice(deviceId: string): Promise<void> {
    this.#devices.delete(deviceId);
  }

  async reconfigure(change: { readonly link?: Json; readonly device?: DeviceConfig }) {
    if (change.device !== undefined) await this.addDevice(change.device);
    const isSame = JSON.stringify(change.link ?? this.#config) === JSON.stringify(this.#config);
    return isSame ? ('applied' as const) : ('reopen' as const);
  }

  async read(deviceId: string, points: readonly PointRequest[], signal: AbortSignal) {
    const device = this.#devices.get(deviceId);
    if (device === undefined) throw error('internal', `device ${deviceId} was never added`);
    const results: PointResult[] = [];
    for (const point of points) results.push(await this.#readOne(device, point, signal));
    return results;
  }

  health(): DriverHealth {
    return this.#connection?.isOpen === true
      ? { status: 'ok' }
      : { status: 'down', detail: 'the connection is not open' };
  }

  /** A value that the device does not give is a result; that the device is silent is a rejection. */
  async #readOne(device: DeviceConfig, { pointId, address }: PointRequest, signal: AbortSignal) {
    const { prefix } = (device.address ?? {}) as NonNullable<Keys>;
    const item = (address as Keys)?.item;
    const connection = this.#connection;
    if (connection === undefined) throw error('closed', 'the link was never opened');
    const said =
      item === undefined || !/^[a-z0-9.]+$/.test(item)
        ? error('bad-address', `point ${pointId} needs an item such as temp`)
        : parseValue(await connection.ask(`GET ${prefix ?? ''}${item}`, signal));
    const time = this.#host.now();
    return typeof said === 'object'
      ? { pointId, time, quality: 'bad' as const, error: said }
      : { pointId, time, quality: 'good' as const, value: said };
  }
}

const error = (kind: DriverError['kind'], message: string): DriverError => ({ kind, message });
