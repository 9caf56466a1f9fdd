import type { ConditionReporter } from '../model/condition.ts';
import { Backoff, type BackoffLimits } from './backoff.ts';
import {
  type GatewayModule,
  type ModuleSurroundings,
  type OpenContext,
  openModuleContext,
} from './module-context.ts';
import type { Part } from './part.ts';
import { withDeadline } from './wait.ts';

/** Where a module is in its life. `failed` modules are waiting to be tried again. */
export type ModuleState = 'new' | 'starting' | 'enabled' | 'failed' | 'disabled';

/** Milliseconds that each call may take. */
const defaultDeadlines = {
  onInit: 10_000,
  onEnable: 10_000,
  onDisable: 3_000,
  onHealthCheck: 2_000,
};
const healthEveryMs = 30_000;
const retryLimits: BackoffLimits = { minMs: 1_000, maxMs: 300_000 };

type Phase = keyof typeof defaultDeadlines;

export interface ModuleHostParts extends ModuleSurroundings {
  readonly conditions: ConditionReporter;
  readonly deadlines?: Readonly<Record<Phase, number>>;
  readonly retry?: BackoffLimits;
}

interface Entry {
  readonly module: GatewayModule;
  readonly backoff: Backoff;
  state: ModuleState;
  detail: string | undefined;
  context: OpenContext | undefined;
  timer: Disposable | undefined;
  /** Changes of state wait for each other. */
  queue: Promise<void>;
}

/**
 * Gives modules their life: starts them, asks how they do, and keeps what they throw, reject or
 * hang in away from everything else. A module that fails is disabled and tried again after a
 * growing wait. What cannot be kept away is a module that never returns from synchronous code: the
 * watchdog ends that.
 */
export class ModuleHost implements Part {
  readonly name = 'modules';
  readonly #parts: ModuleHostParts;
  readonly #entries: readonly Entry[];
  #closed = false;

  constructor(modules: readonly GatewayModule[], parts: ModuleHostParts) {
    this.#parts = parts;
    this.#entries = modules.map((module) => ({
      module,
      backoff: new Backoff(parts.retry ?? retryLimits),
      state: 'new',
      detail: undefined,
      context: undefined,
      timer: undefined,
      queue: Promise.resolve(),
    }));
  }

  /** Resolves when each module has been tried once; a module that fails does not fail the start. */
  async start(): Promise<void> {
    await Promise.all(this.#entries.map((entry) => this.#then(entry, () => this.#enable(entry))));
  }

  /** For status and metrics. */
  status(): readonly { readonly name: string; readonly state: string; readonly detail?: string }[] {
    return this.#entries.map(({ module, state, detail }) => ({
      name: module.name,
      state,
      ...(detail !== undefined && { detail }),
    }));
  }

  /** Asks every enabled module how it does, now. */
  async checkHealth(): Promise<void> {
    await Promise.all(this.#entries.map((entry) => this.#then(entry, () => this.#check(entry))));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#entries.map((entry) => this.#then(entry, () => this.#disable(entry))));
  }

  /** Never rejects: everything that is queued handles its failures. */
  #then(entry: Entry, change: () => Promise<void>): Promise<void> {
    entry.queue = entry.queue.then(change);
    return entry.queue;
  }

  async #enable(entry: Entry): Promise<void> {
    if (this.#closed || entry.state === 'enabled') return;
    const { module } = entry;
    entry.state = 'starting';
    const context = openModuleContext(module.name, this.#parts, (error) => {
      if (entry.context === context) this.#failLater(entry, 'listener', error);
    });
    entry.context = context;
    const started =
      (await this.#call(entry, 'onInit', () => module.onInit(context.context))) &&
      (await this.#call(entry, 'onEnable', () => module.onEnable()));
    if (started === false || entry.context !== context) return;
    entry.state = 'enabled';
    entry.detail = undefined;
    this.#parts.conditions.clear('module-failed', module.name);
    this.#again(entry, healthEveryMs, () => this.#check(entry));
  }

  async #check(entry: Entry): Promise<void> {
    const { module } = entry;
    if (entry.state !== 'enabled') return;
    const health = await this.#call(entry, 'onHealthCheck', () => module.onHealthCheck());
    if (health === false || entry.state !== 'enabled') return;
    if (health.result.ok) {
      // It has worked for a while: its next failure is a new one.
      entry.backoff.reset();
      entry.detail = undefined;
      this.#parts.conditions.clear('module-failed', module.name);
    } else {
      entry.detail = health.result.text;
      this.#parts.conditions.raise('module-failed', module.name, `${module.name}: ${entry.detail}`);
    }
    this.#again(entry, healthEveryMs, () => this.#check(entry));
  }

  async #disable(entry: Entry): Promise<void> {
    const wasStarted = entry.context !== undefined;
    this.#cut(entry);
    if (wasStarted) await this.#quietly(entry, () => entry.module.onDisable());
    entry.state = 'disabled';
  }

  /** One call of a module within its deadline; false when it failed, and then the failure is dealt with. */
  async #call<Result>(
    entry: Entry,
    phase: Phase,
    run: () => Promise<Result> | Result,
  ): Promise<{ readonly result: Result } | false> {
    try {
      return { result: await this.#within(entry, phase, run) };
    } catch (error) {
      await this.#fail(entry, phase, error);
      return false;
    }
  }

  async #within<Result>(
    { module }: Entry,
    phase: Phase,
    run: () => Promise<Result> | Result,
  ): Promise<Result> {
    const { clock, deadlines = defaultDeadlines } = this.#parts;
    const work = (async () => run())();
    // After its deadline nobody waits for it any more; a late rejection must not be unhandled.
    work.catch(() => {});
    return withDeadline(`${phase} of module ${module.name}`, deadlines[phase], work, clock);
  }

  /** From a listener, in the middle of an event: cut off at once, the rest comes in turn. */
  #failLater(entry: Entry, phase: string, error: unknown): void {
    this.#cut(entry);
    void this.#then(entry, () => this.#fail(entry, phase, error));
  }

  async #fail(entry: Entry, phase: string, error: unknown): Promise<void> {
    const { module } = entry;
    this.#cut(entry);
    entry.state = 'failed';
    const cause = error instanceof Error ? error.message : String(error);
    entry.detail = `${phase} failed: ${cause}`;
    this.#parts.notes.moduleFailed({ module: module.name, phase, error });
    this.#parts.conditions.raise('module-failed', module.name, `${module.name}: ${entry.detail}`);
    if (phase !== 'onInit') await this.#quietly(entry, () => module.onDisable());
    if (this.#closed) return;
    this.#again(entry, entry.backoff.next(), () => this.#enable(entry));
  }

  /** The failure of a call that cleans up after a failure changes nothing any more. */
  async #quietly(entry: Entry, run: () => Promise<void> | void): Promise<void> {
    try {
      await this.#within(entry, 'onDisable', run);
    } catch (error) {
      this.#parts.notes.moduleFailed({ module: entry.module.name, phase: 'onDisable', error });
    }
  }

  #cut(entry: Entry): void {
    entry.timer?.[Symbol.dispose]();
    entry.timer = undefined;
    entry.context?.close();
    entry.context = undefined;
  }

  #again(entry: Entry, ms: number, change: () => Promise<void>): void {
    entry.timer?.[Symbol.dispose]();
    entry.timer = this.#parts.clock.setTimeout(() => void this.#then(entry, change), ms);
  }
}
