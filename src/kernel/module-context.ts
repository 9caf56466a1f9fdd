import type { Bus, BusEvents } from '../model/bus-events.ts';
import type { Clock } from '../model/clock.ts';
import type { Notes } from '../model/notes.ts';
import type { JobScheduler } from './jobs.ts';
import type { TenantContexts } from './tenant-context.ts';

/** What a module may use. It has no way into the data path. */
export interface ModuleContext {
  /** Tells what has happened. What a listener throws disables the module. */
  readonly bus: Pick<Bus, 'on'>;
  /** Work that comes again; names are prefixed with the module's. */
  readonly jobs: JobScheduler;
  readonly notes: Notes;
  readonly clock: Clock;
  readonly tenants: Pick<TenantContexts, 'of' | 'all'>;
  /** Aborts when the module is disabled. */
  readonly signal: AbortSignal;
}

/** How a module does. */
export type ModuleHealth = { readonly ok: true } | { readonly ok: false; readonly text: string };

/**
 * Something that watches the gateway and does work of its own beside it.
 *
 * onInit and onEnable come in this order at each start, after a failure as well, each time with a
 * new context; what a context gave (listeners, jobs) ends with it. onDisable comes before the next
 * start and at the stop of the gateway. Every call has a deadline.
 */
export interface GatewayModule {
  readonly name: string;
  onInit(context: ModuleContext): Promise<void> | void;
  onEnable(): Promise<void> | void;
  onDisable(): Promise<void> | void;
  onHealthCheck(): Promise<ModuleHealth> | ModuleHealth;
}

/** What contexts are made of. */
export interface ModuleSurroundings {
  readonly bus: Pick<Bus, 'on'>;
  readonly jobs: JobScheduler;
  readonly notes: Notes;
  readonly clock: Clock;
  readonly tenants: Pick<TenantContexts, 'of' | 'all'>;
}

/** A context and the way to end everything that was got through it. */
export interface OpenContext {
  readonly context: ModuleContext;
  close(): void;
}

/** Makes a context for one start of a module. `onFailure` is told what its listeners throw. */
export function openModuleContext(
  module: string,
  { bus, jobs, notes, clock, tenants }: ModuleSurroundings,
  onFailure: (error: unknown) => void,
): OpenContext {
  const ends = new Set<() => void>();
  const stop = new AbortController();
  /** Nothing can be got through a context that is closed. */
  const keep = (end: () => void): (() => void) => {
    const once = () => {
      if (ends.delete(once)) end();
    };
    ends.add(once);
    if (stop.signal.aborted) once();
    return once;
  };

  return {
    context: {
      bus: {
        on: <Name extends keyof BusEvents>(
          name: Name,
          listener: (...args: BusEvents[Name]) => void,
        ) => {
          const guarded = (...args: BusEvents[Name]) => {
            try {
              const result: unknown = listener(...args);
              if (result instanceof Promise) result.catch(onFailure);
            } catch (error) {
              onFailure(error);
            }
          };
          return keep(bus.on(name, guarded));
        },
      },
      jobs: {
        schedule: (name, cron, run, options) =>
          keep(jobs.schedule(`${module}/${name}`, cron, run, options)),
      },
      notes,
      clock,
      tenants,
      signal: stop.signal,
    },
    close() {
      stop.abort(new Error(`module ${module} is disabled`));
      for (const end of [...ends]) end();
    },
  };
}
