import { CORE_SCHEMA, load, YAMLException } from 'js-yaml';
import type { FindingList } from './finding-list.ts';
import { pointerStep } from './json-pointer.ts';
import type { SourceFile } from './source-file.ts';

/** A group of keys as it was read; nothing is known of the values yet. */
export type Mapping = Readonly<Record<string, unknown>>;

const aliasLimit = 100;
const nodeLimit = 500_000;
const depthLimit = 64;

/**
 * Reads a YAML 1.2 document (core schema: `no` and `on` are text, `0x10` is 16). Undefined when it
 * cannot be used, and findings say why; an empty file is an empty document.
 */
export async function readYaml(
  file: SourceFile,
  findings: FindingList,
): Promise<Mapping | undefined> {
  let data: unknown;
  try {
    data = load(file.text, { schema: CORE_SCHEMA, maxAliases: aliasLimit, maxDepth: depthLimit });
  } catch (error) {
    if (onlyComments(file.text)) return {};
    // The library that knows more than the first error is slow to load; nobody needs it on a good day.
    const { explainYaml } = await import('./explain-yaml.ts');
    explainYaml(file, error instanceof YAMLException ? error : undefined, findings);
    return undefined;
  }
  if (data === null) return {};
  if (!isMapping(data)) {
    findings.add({
      code: 'E1107',
      at: file,
      message: 'the document must be a group of keys, such as "schema: …"',
    });
    return undefined;
  }
  return vet(data, file, findings) ? data : undefined;
}

/** Whether a value is a group of keys. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function onlyComments(text: string): boolean {
  return text.split('\n').every((line) => /^\s*(#.*)?$/.test(line));
}

/** Looks at each value once: sizes that aliases hide, numbers that JSON cannot carry. */
function vet(root: Mapping, file: SourceFile, findings: FindingList): boolean {
  let nodes = 0;
  let good = true;
  const visit = (value: unknown, pointer: () => string, depth: number): void => {
    if (++nodes > nodeLimit) return;
    if (typeof value === 'number') {
      if (Number.isFinite(value) && !(isUnsafe(value) && isSpeltOut(file.sourceOf(pointer()))))
        return;
      findings.add({
        code: 'E1105',
        at: file,
        pointer: pointer(),
        message: `${value} is no number that the gateway can keep exactly`,
        hint: 'put it in quotes if it is a name or a serial number',
      });
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    if (depth > depthLimit) {
      good = false;
      findings.add({ code: 'E1106', at: file, message: `nested more than ${depthLimit} levels` });
      return;
    }
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) {
        visit(item, () => pointer() + pointerStep(i), depth + 1);
      }
      return;
    }
    for (const [key, item] of Object.entries(value)) {
      visit(item, () => pointer() + pointerStep(key), depth + 1);
    }
  };
  visit(root, () => '', 0);
  if (nodes > nodeLimit) {
    findings.add({
      code: 'E1104',
      at: file,
      place: { line: 1, column: 1 },
      message: `the document has more than ${nodeLimit} values, aliases written out`,
    });
    return false;
  }
  return good;
}

/** Whether rounding has lost digits of a whole number. */
function isUnsafe(value: number): boolean {
  return Number.isInteger(value) && !Number.isSafeInteger(value);
}

/** Whether a number stands there digit by digit, so that rounding it would be a lie; 1e20 is not. */
function isSpeltOut(source: string): boolean {
  return /^[-+]?(0x[0-9a-f]+|0o[0-7]+|\d+)(?![\d.e])/i.test(source);
}
