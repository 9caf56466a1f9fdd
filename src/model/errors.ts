/**
 * Every failure that the gateway can name. A code is part of the public interface: it is printed
 * in logs, shown on the status page and listed in docs/reference/errors.md. Never reuse one.
 */
export const remedies = {
  ID_INVALID: 'Correct the id in the file that the message names.',
  CONFIG_INVALID: 'Run "riser config validate" and correct what it lists.',
  CONFIG_UNREADABLE: 'Check that the file exists and that user riser may read it.',
  SECRET_UNRESOLVED:
    'Put the secret where the message says (credential, file with mode 0600, or environment).',
  SECRET_EXPOSED: 'Run "chmod 600" on the file that the message names.',
  PLUGIN_INVALID: 'Reinstall the plugin, or remove it from the plugins folder.',
  DRIVER_UNKNOWN:
    'Correct `driver` of the link; "riser status" lists the drivers that are installed.',
  DRIVER_FAILED: 'The driver process is restarted by itself; if it fails again, report its log.',
  DRIVER_UNRESPONSIVE: 'The driver process is killed and restarted by itself.',
  DEVICE_UNKNOWN: 'Use an id that "riser status" lists.',
  POINT_UNKNOWN: 'Use a point id that "riser read DEVICE" lists.',
  READ_FAILED: 'Check power and cabling of the device, then its address.',
  OUTBOX_FULL: 'Restore the upstream connection or raise outbox.maxBytes.',
  OUTBOX_UNAVAILABLE: 'Check free space and mount state of the disk that holds the outbox.',
  OUTBOX_CORRUPT: 'The file is set aside and a new one begun; keep the old one for salvage.',
  OUTBOX_NEWER: 'Install the release that wrote the file, or restore the backup made before it.',
  STORAGE_NOT_DURABLE: 'Report it: the database does not promise to survive a power cut.',
  UPSTREAM_UNREACHABLE: 'Check network, host name and port of uplink.url.',
  UPSTREAM_TLS:
    'Compare uplink.tls with the certificate of the broker, and the clock of the gateway.',
  UPSTREAM_REFUSED: 'Check user name, password or client certificate for the broker.',
  UPSTREAM_PROTOCOL: 'Check that uplink.url points to an MQTT broker.',
  TENANT_MISMATCH: 'Report it: data of one tenant was about to reach another.',
  CONTROL_UNREACHABLE:
    'Start the daemon ("systemctl start riser") or name its socket with --socket.',
  CONTROL_FORBIDDEN: 'Run the command as root or as a member of group riser.',
  USAGE: 'See "riser help".',
  PORT_IN_USE: 'Stop the other program or choose another port.',
  DEADLINE: 'Try again; if it happens often, see "riser status".',
  ACTION_UNKNOWN: 'Use an action that "riser help" lists.',
  ACTION_REFUSED: 'Do what the message says; nothing was sent to a device.',
  ACTION_FAILED: 'Check address, power and cabling of what the message names.',
  INTERNAL: 'Report it together with the log.',
} as const;

export type ErrorCode = keyof typeof remedies;

export interface GatewayErrorOptions extends ErrorOptions {
  /** May the same call succeed later without anyone changing anything? */
  readonly retryable?: boolean;
  /** Small facts for the log line: ids, addresses, limits. Never a secret. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
  /** Instead of the catalogue's remedy, where a better one is known. */
  readonly remedy?: string;
}

/** An error with a stable code for programs, and a remedy for the person on the ladder. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly facts: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, message: string, options: GatewayErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.remedy = options.remedy ?? remedies[code];
    this.retryable = options.retryable ?? false;
    this.facts = options.facts ?? {};
  }

  /** Turns anything that was thrown into a GatewayError, keeping the original as cause. */
  static from(
    thrown: unknown,
    code: ErrorCode,
    message: string,
    options: GatewayErrorOptions = {},
  ): GatewayError {
    return thrown instanceof GatewayError
      ? thrown
      : new GatewayError(code, message, { ...options, cause: thrown });
  }
}
