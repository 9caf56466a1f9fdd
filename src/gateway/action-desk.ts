import type { Action, ActionOutput, ActionRequest, RunningAction } from '../model/action.ts';
import { GatewayError } from '../model/errors.ts';
import type { LinkId } from '../model/ids.ts';
import type { InstalledDriver } from '../model/installed-driver.ts';
import type { Opaque } from '../model/point.ts';
import type { Site } from '../model/site.ts';

/** Actions that may run at the same time: they are for a person who waits for each. */
const maxRunning = 4;

export interface ActionParts {
  readonly catalog: {
    readonly actions: readonly Action[];
    readonly drivers: readonly Pick<InstalledDriver, 'id' | 'plugin'>[];
  };
  readonly field: {
    runAction(
      plugin: string,
      name: string,
      args: Opaque,
      signal: AbortSignal,
      options: { readonly link?: LinkId; readonly planOnly?: boolean },
    ): AsyncIterable<ActionOutput>;
  };
  readonly site: () => Site;
}

/** Runs the actions of the plugins on the links and devices of the site, a few at a time. */
export class ActionDesk {
  readonly #parts: ActionParts;
  #running = 0;

  constructor(parts: ActionParts) {
    this.#parts = parts;
  }

  list(): readonly Action[] {
    return this.#parts.catalog.actions;
  }

  /** Throws ACTION_UNKNOWN, ACTION_REFUSED, USAGE or DEVICE_UNKNOWN. */
  run(request: ActionRequest, signal: AbortSignal): RunningAction {
    const { field, site } = this.#parts;
    const { devices, links } = site();
    const of = devices.find(({ id }) => id === request.device);
    if (request.device !== undefined && of === undefined) {
      throw new GatewayError('DEVICE_UNKNOWN', `there is no device "${request.device}"`);
    }
    const plugin = request.plugin ?? this.#pluginOf(links.find(({ id }) => id === of?.link));
    const action = this.#action(plugin, request.action);
    const key = deviceKey(action);
    if (of !== undefined && key === undefined) {
      throw new GatewayError('USAGE', `${plugin} ${action.name} takes no device`);
    }
    const args =
      of === undefined || key === undefined ? request.args : { ...request.args, [key]: of.id };
    const named = key === undefined ? undefined : args[key];
    const device = devices.find(({ id }) => id === named);
    const link = this.#link(request.link ?? device?.link, plugin);
    if (this.#running >= maxRunning) {
      throw new GatewayError('ACTION_REFUSED', `${maxRunning} actions are running already`, {
        remedy: 'End one of them with Ctrl-C, or wait for its end.',
        retryable: true,
      });
    }
    const planOnly = request.planOnly === true;
    const outputs = field.runAction(plugin, action.name, args, signal, {
      ...(link !== undefined && { link }),
      planOnly,
    });
    const pausing = link !== undefined && action.link === 'exclusive';
    return {
      plugin,
      name: action.name,
      columns: action.columns,
      ...(link !== undefined && { link }),
      pauses: pausing ? devices.filter((each) => each.link === link).length : 0,
      outputs: this.#counted(outputs),
    };
  }

  async *#counted(outputs: AsyncIterable<ActionOutput>): AsyncGenerator<ActionOutput> {
    this.#running += 1;
    try {
      yield* outputs;
    } finally {
      this.#running -= 1;
    }
  }

  #action(plugin: string, name: string): Action {
    const found = this.#parts.catalog.actions.find(
      (action) => action.plugin === plugin && action.name === name,
    );
    if (found !== undefined) return found;
    throw new GatewayError('ACTION_UNKNOWN', `plugin ${plugin} has no action "${name}"`);
  }

  #link(id: string | undefined, plugin: string): LinkId | undefined {
    if (id === undefined) return undefined;
    const link = this.#parts.site().links.find((each) => each.id === id);
    if (link === undefined) {
      throw new GatewayError('USAGE', `there is no link "${id}"`, {
        remedy: 'Use a link that "riser status --json" lists.',
      });
    }
    const of = this.#pluginOf(link);
    if (of === plugin) return link.id;
    throw new GatewayError('USAGE', `link ${id} belongs to plugin ${of}, not to ${plugin}`);
  }

  #pluginOf(link: { readonly driver: string } | undefined): string {
    const driver = this.#parts.catalog.drivers.find(({ id }) => id === link?.driver);
    if (driver !== undefined) return driver.plugin;
    throw new GatewayError('USAGE', 'name the plugin whose action is to run');
  }
}

/** The argument that may be the id of a configured device. */
export function deviceKey({
  argumentsSchema,
}: Pick<Action, 'argumentsSchema'>): string | undefined {
  const { properties = {} } = argumentsSchema as {
    readonly properties?: Readonly<Record<string, { readonly 'x-device'?: unknown }>>;
  };
  return Object.keys(properties).find((key) => properties[key]?.['x-device'] === true);
}
