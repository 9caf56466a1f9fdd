import type { JsonSchema } from './schemas.ts';

/**
 * Gives query parameters the type that their schema asks for: digits become an integer, a single
 * value of a list becomes a list. Anything else stays text and fails validation – ajv's own
 * coercion would also take "" for 0 and change request bodies.
 */
export function coerceQuery(query: Record<string, unknown>, schema: JsonSchema): void {
  const properties = (schema.properties ?? {}) as Readonly<Record<string, JsonSchema>>;
  for (const [name, { type }] of Object.entries(properties)) {
    const value = query[name];
    if (typeof value !== 'string') continue;
    if (type === 'integer' && /^\d{1,15}$/.test(value)) query[name] = Number(value);
    else if (type === 'array') query[name] = [value];
  }
}
