import type { ActionLine, ActionRequest } from '../model/action.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import type { ControlClient } from './control-client.ts';
import type { LinkCheck } from './link-check.ts';

/** Characters of one line of the daemon. */
const maxLine = 4 * 1024 * 1024;

/**
 * Where actions run: in the daemon, which shares its links, or, while it is not running, in a
 * driver process of the command itself.
 */
export class ActionSource implements AsyncDisposable {
  readonly #context: Context;
  #direct: LinkCheck | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Runs an action and gives what it tells; ending the iteration ends it. */
  async *lines(request: ActionRequest): AsyncGenerator<ActionLine> {
    if (this.#direct === undefined) {
      const client = await this.#context.client(15_000);
      const stream = await this.#ask(client, request);
      if (stream !== undefined) {
        yield* parsed(stream);
        return;
      }
    }
    yield* this.#here(request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#direct?.[Symbol.asyncDispose]();
  }

  /** The answer of the daemon; undefined when none is running and the action can do without. */
  async #ask(
    client: ControlClient,
    request: ActionRequest,
  ): Promise<AsyncIterable<string> | undefined> {
    try {
      return await client.stream('/actions', request);
    } catch (error) {
      const needsDaemon = request.link !== undefined || request.device !== undefined;
      const unreachable =
        error instanceof CommandError && error.code === 'CONTROL_UNREACHABLE' && !needsDaemon;
      if (!unreachable) throw error;
      this.#context.out.tell('The daemon is not running: asking without it, by address only.');
      return undefined;
    }
  }

  async *#here({ plugin = '', action, args, planOnly }: ActionRequest): AsyncGenerator<ActionLine> {
    if (this.#direct === undefined) {
      const { LinkCheck } = await import('./link-check.ts');
      const { installedCatalog } = await import('./installed-catalog.ts');
      this.#direct = new LinkCheck(await installedCatalog(this.#context.env));
    }
    const { columns, outputs } = this.#direct.runAction(
      plugin,
      action,
      args,
      this.#context.signal,
      planOnly === true,
    );
    yield { kind: 'begin', plugin, action, pauses: 0, columns };
    yield* outputs;
    yield { kind: 'end' };
  }
}

async function* parsed(stream: AsyncIterable<string>): AsyncGenerator<ActionLine> {
  let pending = '';
  let last: ActionLine['kind'] | undefined;
  for await (const chunk of stream) {
    pending += chunk;
    const lines = pending.split('\n');
    pending = lines.pop() ?? '';
    if (pending.length > maxLine) throw new Error('the daemon sent a line without an end');
    for (const line of lines) {
      // An empty one only keeps the connection.
      if (line === '') continue;
      const parsed = JSON.parse(line) as ActionLine;
      last = parsed.kind;
      yield parsed;
    }
  }
  if (last === 'end' || last === 'failed') return;
  throw new CommandError(
    'CONTROL_UNREACHABLE',
    'the daemon ended the action: it is stopping',
    'Start the command again when the daemon is back ("riser ready" tells).',
  );
}
