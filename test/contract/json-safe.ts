/**
 * What of a value would not arrive as it was sent, in words; empty when it can cross processes.
 * `undefined` as a property is left out on the way and harms nobody; bigint has its own way.
 */
export function notJsonSafe(value: unknown, path = '', depth = 0): string[] {
  if (value === null || ['boolean', 'string', 'bigint'].includes(typeof value)) return [];
  if (typeof value === 'number') {
    return Number.isFinite(value) ? [] : [`${path} is ${value}`];
  }
  if (typeof value !== 'object') return [`${path} is a ${typeof value}`];
  if (depth > 20) return [`${path} is nested too deeply, or holds itself`];
  if (Array.isArray(value)) {
    return value.flatMap((item, n) => notJsonSafe(item, `${path}/${n}`, depth + 1));
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return [`${path} is a ${value.constructor?.name ?? 'special object'}, not plain data`];
  }
  return Object.entries(value).flatMap(([key, item]) =>
    item === undefined ? [] : notJsonSafe(item, `${path}/${key}`, depth + 1),
  );
}
