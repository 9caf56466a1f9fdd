import type { Command } from 'commander';
import type { Action } from '../model/action.ts';
import { remedies } from '../model/errors.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import type { ExitCode } from './exit-codes.ts';
import type { ActionFlags } from './run-action.ts';

type Act = <Args extends readonly unknown[]>(
  action: (context: Context, ...args: Args) => Promise<ExitCode>,
) => (...args: unknown[]) => Promise<void>;

/** One argument of an action as its JSON Schema describes it. */
interface Property {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly 'x-position'?: number;
  /** What stands for the value in the help, such as "ms". */
  readonly 'x-value'?: string;
}

/** Adds `riser PLUGIN ACTION` for every action that the manifests of the plugins declare. */
export function addActions(root: Command, act: Act, actions: readonly Action[]): void {
  const taken = new Set(root.commands.map((command) => command.name()));
  for (const [plugin, offered] of Map.groupBy(actions, (action) => action.plugin)) {
    // A command of ours is never hidden by a plugin that has its name.
    if (taken.has(plugin)) continue;
    const group = root
      .command(plugin)
      .description(`actions of plugin ${plugin}`)
      .helpCommand(false);
    for (const action of offered) addAction(group, act, action);
  }
}

function addAction(group: Command, act: Act, action: Action): void {
  const { properties, required } = schemaOf(action);
  const operands = Object.keys(properties)
    .filter((key) => properties[key]?.['x-position'] !== undefined)
    .sort((a, b) => (properties[a]?.['x-position'] ?? 0) - (properties[b]?.['x-position'] ?? 0));
  const command = group.command(action.name).description(action.help);
  for (const key of operands) {
    const many = properties[key]?.type === 'array' ? '...' : '';
    const [open, end] = required.has(key) ? ['<', '>'] : ['[', ']'];
    command.argument(`${open}${key}${many}${end}`, properties[key]?.description);
  }
  for (const [key, property] of Object.entries(properties)) {
    if (operands.includes(key)) continue;
    const value = property.type === 'boolean' ? '' : ` <${property['x-value'] ?? 'value'}>`;
    command.option(`--${kebab(key)}${value}`, helpOf(property));
  }
  if (action.link !== 'none') command.option('--link <id>', 'configured link to run it on');
  command
    .option('--yes', 'begin without asking')
    .option('--jsonl', 'print each row at once, as one JSON document a line')
    .action(
      act(async (context, ...given: readonly unknown[]) => {
        const flags = given.at(-1) as Readonly<Record<string, unknown>> & ActionFlags;
        const args: Record<string, unknown> = {};
        for (const [key, property] of Object.entries(properties)) {
          const place = operands.indexOf(key);
          const value = place >= 0 ? given[place] : flags[camel(kebab(key))];
          if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
          args[key] = typedValue(place >= 0 ? key : `--${kebab(key)}`, property, value);
        }
        const { runAction } = await import('./run-action.ts');
        const { plugin, name } = action;
        const link = typeof flags.link === 'string' ? { link: flags.link } : {};
        const request = { plugin, action: name, args: args as never, ...link };
        return await runAction(context, request, flags);
      }),
    );
}

function schemaOf({ argumentsSchema }: Action) {
  const { properties = {}, required = [] } = argumentsSchema as {
    readonly properties?: Readonly<Record<string, Property>>;
    readonly required?: readonly string[];
  };
  return { properties, required: new Set(required) };
}

function helpOf({ description = '', default: usual }: Property): string {
  return usual === undefined ? description : `${description} (default: ${String(usual)})`;
}

/** Text of the command line as the type that the schema asks for; whether it fits is checked later. */
function typedValue(name: string, { type }: Property, value: unknown): unknown {
  if (type === 'array') {
    return Array.isArray(value) ? value : String(value).split(',');
  }
  if (type !== 'integer' && type !== 'number') return value;
  const number = Number(value);
  if (value !== '' && Number.isFinite(number)) return number;
  throw new CommandError('USAGE', `${name} takes a number, not "${String(value)}"`, remedies.USAGE);
}

const kebab = (key: string) => key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const camel = (key: string) => key.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
