import type { DriverFactory } from '#driver';
import type { LoadedDriver } from './link-table.ts';
import type { HostedAction } from './request-server.ts';

/** What a driver process is told of its plugin. */
export interface HostedPlugin {
  /** Folder name of the plugin. */
  readonly name: string;
  readonly bootId: string;
  readonly drivers: ReadonlyArray<{
    readonly id: string;
    /** URL of its module. */
    readonly module: string;
    readonly maxConcurrencyPerLink: number;
  }>;
  readonly actions: readonly HostedAction[];
}

/** Runs the plugin's modules; rejects when one cannot be loaded or is no driver. */
export async function loadDrivers(plugin: HostedPlugin): Promise<Map<string, LoadedDriver>> {
  const drivers = new Map<string, LoadedDriver>();
  for (const { id, module, maxConcurrencyPerLink } of plugin.drivers) {
    const loaded = (await import(module)) as { readonly default?: unknown };
    if (typeof loaded.default !== 'function') {
      throw new TypeError(`${module} has no driver factory as its default export`);
    }
    drivers.set(id, { factory: loaded.default as DriverFactory, maxConcurrencyPerLink });
  }
  return drivers;
}
