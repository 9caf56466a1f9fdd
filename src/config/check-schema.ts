import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { explainProblem } from './explain-problem.ts';
import type { FindingList } from './finding-list.ts';
import type { SourceFile } from './source-file.ts';

/** Where the document that is checked stands. */
export interface CheckPlace {
  readonly at: SourceFile;
  /** Pointer of a value of the document, given its pointer within what is checked. */
  readonly pointer?: (within: string) => string;
  /** Place of a value, where the file is no YAML. */
  readonly place?: (within: string) => { readonly line: number; readonly column: number };
  /** Pointers that somebody else has judged already. */
  readonly skip?: ReadonlySet<string>;
  /** Keys that would also be right here, for "did you mean". */
  readonly alsoKnown?: readonly string[];
}

const ajv = new Ajv2020({
  allErrors: true,
  verbose: true,
  strict: false,
  validateSchema: false,
  meta: false,
  // Two drivers may give their schemas the same $id.
  addUsedSchema: false,
  logger: false,
});

const compiled = new WeakMap<object, ValidateFunction>();

/** Makes a JSON Schema (2020-12) ready; done once for each schema. Throws when the schema is wrong. */
export function compileSchema(schema: object): ValidateFunction {
  let validate = compiled.get(schema);
  if (validate === undefined) {
    validate = ajv.compile(schema);
    // The cache of ajv would keep the schemas of plugins that are long gone.
    ajv.removeSchema(schema);
    compiled.set(schema, validate);
  }
  return validate;
}

/** Errors of one value that are looked at; a file that has more is not read to the end by anybody. */
const errorLimit = 2_000;

/** Checks a value and adds a finding for everything that is wrong; returns the pointers that are. */
export function checkSchema(
  schema: object,
  value: unknown,
  where: CheckPlace,
  findings: FindingList,
): readonly string[] {
  const validate = compileSchema(schema);
  if (validate(value) === true) return [];
  const wrong: string[] = [];
  for (const error of telling((validate.errors ?? []).slice(0, errorLimit))) {
    const problem = explainProblem(error, where.alsoKnown ?? []);
    if (where.skip?.has(problem.pointer) === true) continue;
    wrong.push(problem.pointer);
    const { pointer, ...rest } = problem;
    findings.add({
      ...rest,
      at: where.at,
      pointer: where.pointer === undefined ? pointer : where.pointer(pointer),
      ...(where.place === undefined ? {} : { place: where.place(pointer) }),
    });
  }
  return wrong;
}

/**
 * Of the errors below "one of these forms" only what helps: for a group of keys those of the form
 * that fits best, for a plain value the summary.
 */
function telling(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  let left = errors.filter((error) => error.keyword !== 'if');
  for (const choice of errors) {
    if (choice.keyword !== 'oneOf' && choice.keyword !== 'anyOf') continue;
    if (!left.includes(choice)) continue;
    const below = left.filter(
      (error) =>
        error !== choice &&
        (error.schemaPath.startsWith(`${choice.schemaPath}/`) ||
          (error.schemaPath.includes('/$defs/') &&
            error.instancePath.startsWith(choice.instancePath))),
    );
    const branches = new Map<string, ErrorObject[]>();
    for (const error of below) {
      const step = error.schemaPath.slice(choice.schemaPath.length + 1).split('/')[0] ?? '';
      const name = error.schemaPath.startsWith(`${choice.schemaPath}/`) ? step : 'shared';
      branches.set(name, [...(branches.get(name) ?? []), error]);
    }
    const group = typeof choice.data === 'object' && choice.data !== null;
    const best = [...branches.values()]
      .filter((branch) => !branch.some((e) => e.keyword === 'type' && e.data === choice.data))
      .sort((a, b) => a.length - b.length)[0];
    const keep = group && best !== undefined ? best : [choice];
    left = left.filter(
      (error) => keep.includes(error) || (error !== choice && !below.includes(error)),
    );
  }
  return left;
}
