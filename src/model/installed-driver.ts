import type { Device } from './device.ts';
import type { Opaque } from './point.ts';

/** A driver that a plugin of this installation offers, from its manifest; no plugin code has run. */
export interface InstalledDriver {
  readonly id: string;
  /** Folder name of its plugin. */
  readonly plugin: string;
  readonly displayName: string;
  readonly profileKinds: readonly string[];
  readonly maxConcurrencyPerLink: number;
  /** JSON Schemas (2020-12), parsed. */
  readonly linkConfigSchema: Opaque;
  readonly deviceConfigSchema: Opaque;
  readonly pointAddressSchema: Opaque;
}

/** What only the protocol can find wrong in a link and its devices; same paths as ConfigIssue of #driver. */
export interface LinkIssue {
  /** "/link/…", "/devices/<device id>/address/…" or "/devices/<device id>/points/<point name>/…". */
  readonly path: string;
  readonly message: string;
  readonly severity: 'error' | 'warning';
  readonly code?: string;
}

/** Asks a driver, in its own process, to look at a link and its devices without touching the medium. */
export type CheckLink = (
  driver: string,
  link: Opaque,
  devices: readonly Device[],
) => Promise<readonly LinkIssue[]>;
