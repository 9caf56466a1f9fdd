import type { DriverHost, Json } from '#driver';
import type { FrameTrace } from '../frame-trace.ts';
import type { Link } from '../link.ts';
import { ModbusError } from '../modbus-error.ts';
import { tcpSettings } from '../settings.ts';
import { TcpLink } from '../tcp-link.ts';

/** What an action works with: the link of its driver, if it was called on one. */
export interface ActionScene {
  readonly host: DriverHost;
  /** The configured link; shared with the polls of its devices. */
  readonly link?: Link;
  /** What its link has sent and received. */
  readonly trace?: FrameTrace;
  /** How a configured device is asked; undefined when the link has no such device. */
  device(id: string): Pick<Manner, 'unit' | 'timeoutMs' | 'interRequestMs'> | undefined;
}

interface Manner {
  readonly unit: number;
  readonly timeoutMs: number;
  readonly interRequestMs: number;
}

/** Arguments that say who is asked. */
export interface TargetArguments {
  readonly target?: string;
  readonly unit?: number;
  readonly timeoutMs?: number;
}

const usualTimeoutMs = 1_000;

/** Questions to one unit, on the configured link or on a connection of their own. */
export class Conversation implements AsyncDisposable {
  /** For a person: "unit 3 at 192.168.1.9:502". */
  readonly where: string;
  readonly unit: number;
  readonly #link: Link;
  readonly #isOwn: boolean;
  readonly #manner: Manner;
  readonly #signal: AbortSignal;

  private constructor(
    link: Link,
    isOwn: boolean,
    where: string,
    manner: Manner,
    signal: AbortSignal,
  ) {
    this.#link = link;
    this.#isOwn = isOwn;
    this.#manner = manner;
    this.#signal = signal;
    this.unit = manner.unit;
    this.where = `unit ${manner.unit} ${where}`;
  }

  /** Nothing is sent or opened yet. Throws a ModbusError of kind bad-address. */
  static to(scene: ActionScene, args: TargetArguments, signal: AbortSignal): Conversation {
    const { target, unit, timeoutMs = usualTimeoutMs } = args;
    if (scene.link !== undefined) {
      const device = target === undefined ? undefined : scene.device(target);
      if (target !== undefined && device === undefined) {
        throw new ModbusError('bad-address', `link ${scene.host.linkId} has no device ${target}`);
      }
      const manner = {
        unit: unit ?? device?.unit ?? 1,
        timeoutMs: args.timeoutMs ?? device?.timeoutMs ?? usualTimeoutMs,
        interRequestMs: device?.interRequestMs ?? 0,
      };
      const where = `on link ${scene.host.linkId}`;
      return new Conversation(scene.link, false, where, manner, signal);
    }
    if (target === undefined) {
      throw new ModbusError(
        'bad-address',
        'name a configured device, or a host such as 192.168.10.40 or 192.168.10.40:1502',
      );
    }
    const { host, port } = endpointOf(target);
    const settings = tcpSettings({ host, port, connectTimeoutMs: Math.max(timeoutMs, 1_000) });
    const link = new TcpLink(scene.host, settings, () => false);
    const manner = { unit: unit ?? 1, timeoutMs, interRequestMs: 0 };
    return new Conversation(link, true, `at ${host}:${port}`, manner, signal);
  }

  /** Connects, if the link is not one that the gateway keeps open. */
  async open(): Promise<void> {
    if (this.#isOwn) await this.#link.open(this.#signal);
  }

  ask(pdu: Buffer, interRequestMs = this.#manner.interRequestMs): Promise<Buffer> {
    const { unit, timeoutMs } = this.#manner;
    return this.#link.request({ unit, pdu, timeoutMs, interRequestMs, signal: this.#signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOwn) await this.#link.close();
  }
}

/** Host and port of "192.168.1.9", "plc.local:1502" or "[fd00::9]:502". Throws a ModbusError. */
export function endpointOf(target: string): { readonly host: string; readonly port: number } {
  const parts =
    /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<host>[A-Za-z0-9._-]+))(?::(?<port>\d{1,5}))?$/.exec(
      target,
    )?.groups;
  const host = parts?.six ?? parts?.host;
  const port = Number(parts?.port ?? 502);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new ModbusError(
      'bad-address',
      `"${target.slice(0, 80)}" is no host; write it like 192.168.10.40 or 192.168.10.40:1502`,
    );
  }
  return { host, port };
}

/** The arguments of an action; the gateway has checked them against their schema. */
export function argumentsOf(args: Json): Readonly<Record<string, Json>> {
  return args !== null && typeof args === 'object' && !Array.isArray(args)
    ? (args as Readonly<Record<string, Json>>)
    : {};
}
