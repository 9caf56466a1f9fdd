/** Levels of objects and arrays that a request may have. JSON.parse takes 100 000, JSON.stringify and structuredClone throw at 20 000. */
const maxDepth = 32;

/** Keys that could reach the prototype of an object that the body is merged into. */
const forbiddenKeys = new Set(['__proto__', 'prototype', 'constructor']);

/** Why a JSON text is refused. */
export class JsonRefused extends Error {
  override readonly name = 'JsonRefused';
}

/**
 * JSON from a stranger: refuses what JSON.parse accepts and later surprises – nesting beyond 32
 * levels, a key given twice (the last one would win), keys that name prototypes, and numbers that
 * become Infinity. Throws JsonRefused.
 */
export function parseStrictJson(text: string): unknown {
  inspect(text);
  try {
    return JSON.parse(text, (_key, value: unknown) => {
      if (typeof value === 'number' && !Number.isFinite(value)) {
        throw new JsonRefused('a number is too large');
      }
      return value;
    });
  } catch (error) {
    if (error instanceof JsonRefused) throw error;
    throw new JsonRefused('it is not valid JSON', { cause: error });
  }
}

/** One pass over the text before it is parsed; whether it is JSON at all is left to JSON.parse. */
function inspect(text: string): void {
  /** Keys seen so far of each open object; undefined for an open array. */
  const open: (Set<string> | undefined)[] = [];
  let at = 0;
  while (at < text.length) {
    const character = text[at];
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : undefined);
      if (open.length > maxDepth)
        throw new JsonRefused(`it is nested deeper than ${maxDepth} levels`);
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === '"') {
      const end = endOfString(text, at);
      const keys = open.at(-1);
      if (keys !== undefined && isKey(text, end)) addKey(keys, text.slice(at, end + 1));
      at = end;
    }
    at += 1;
  }
}

/** Index of the closing quote, or the last index when there is none. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return Math.min(at, text.length - 1);
}

function isKey(text: string, end: number): boolean {
  let at = end + 1;
  while (at < text.length && ' \t\r\n'.includes(text[at] as string)) at += 1;
  return text[at] === ':';
}

function addKey(keys: Set<string>, quoted: string): void {
  let key: string;
  try {
    // An escape could hide the key: "\u005f_proto__".
    key = JSON.parse(quoted) as string;
  } catch (error) {
    throw new JsonRefused('it is not valid JSON', { cause: error });
  }
  if (forbiddenKeys.has(key)) throw new JsonRefused(`the key ${quoted} is not allowed`);
  if (keys.has(key)) throw new JsonRefused(`the key ${quoted.slice(0, 80)} is given twice`);
  keys.add(key);
}
