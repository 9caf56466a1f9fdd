import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ActionOutput } from '#driver';
import { GatewayError } from '../model/errors.ts';
import type { Opaque } from '../model/point.ts';
import type { Catalog, InstalledAction } from './catalog.ts';

const ajv = new Ajv2020({ strict: false, allErrors: true });
/** Text of a plan or a note that is passed on. */
const maxTextLength = 2_000;

/**
 * The action of this name whose arguments these are. Throws ACTION_UNKNOWN, ACTION_REFUSED when it
 * writes, and USAGE when the arguments do not fit.
 */
export function findAction(
  { actions }: Catalog,
  plugin: string,
  name: string,
  args: Opaque,
): InstalledAction {
  const action = actions.find((each) => each.plugin === plugin && each.name === name);
  if (action === undefined) {
    throw new GatewayError('ACTION_UNKNOWN', `plugin ${plugin} has no action ${name}`);
  }
  if (action.effect === 'writing') {
    throw new GatewayError(
      'ACTION_REFUSED',
      `${plugin} ${name} writes to devices; writes are not authorised in this release`,
    );
  }
  const isValid = ajv.compile(action.argumentsSchema as object);
  if (!isValid(args)) {
    const [error] = isValid.errors ?? [];
    const where = error?.instancePath.slice(1) ?? '';
    const extra = (error?.params as { additionalProperty?: string } | undefined)
      ?.additionalProperty;
    const what = extra === undefined ? (error?.message ?? 'is not valid') : `unknown: ${extra}`;
    throw new GatewayError(
      'USAGE',
      `${plugin} ${name}: ${where === '' ? 'the arguments' : where} ${what}`,
      { remedy: `See "riser ${plugin} ${name} --help".` },
    );
  }
  return action;
}

/** Passes on what has the form of an output and ends with what has not: a plugin may send anything. */
export async function* checkedOutputs(
  outputs: AsyncIterable<ActionOutput>,
): AsyncGenerator<ActionOutput> {
  for await (const output of outputs) {
    const checked = checkedOutput(output);
    if (checked === undefined) {
      throw new GatewayError('ACTION_FAILED', 'the driver told something that has no known form');
    }
    yield checked;
  }
}

function checkedOutput(output: ActionOutput): ActionOutput | undefined {
  if (typeof output !== 'object' || output === null) return undefined;
  switch (output.kind) {
    case 'plan':
      return typeof output.text === 'string' && Number.isFinite(output.seconds)
        ? { kind: 'plan', text: output.text.slice(0, maxTextLength), seconds: output.seconds }
        : undefined;
    case 'progress':
      return Number.isFinite(output.done) && Number.isFinite(output.total)
        ? { kind: 'progress', done: output.done, total: output.total }
        : undefined;
    case 'row':
      return typeof output.row === 'object' && output.row !== null && !Array.isArray(output.row)
        ? { kind: 'row', row: output.row }
        : undefined;
    case 'note':
      return typeof output.text === 'string'
        ? {
            kind: 'note',
            level: output.level === 'warning' ? 'warning' : 'info',
            text: output.text.slice(0, maxTextLength),
          }
        : undefined;
    default:
      return undefined;
  }
}
