/**
 * Device names, error texts of drivers and broker messages come from the building network. Control
 * characters would move the cursor or recolour a terminal, and direction overrides would make a
 * name read as another one.
 */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu;

/** Untrusted text on one line, safe to show on a terminal; longer than `max` characters it is cut. */
export function printable(text: string, max = 500): string {
  // A hostile megabyte is cut before it is searched.
  const clean = text
    .slice(0, max * 4)
    .replace(unprintable, ' ')
    .trim();
  const characters = [...clean];
  return characters.length <= max ? clean : `${characters.slice(0, max - 1).join('')}…`;
}

/** A value of a reading for a person: `-` when there is none. */
export function printableValue(value: unknown): string {
  if (value === null || value === undefined) return '-';
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value), 60);
}
