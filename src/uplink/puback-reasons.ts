import type { Refusal } from './stream-window.ts';

/** Reason codes of a PUBACK (MQTT 5.0, 3.4.2.1), in words. */
const names: Readonly<Record<number, string>> = {
  128: 'unspecified error',
  131: 'implementation specific error',
  135: 'not authorised to publish here',
  144: 'topic name not accepted',
  145: 'packet identifier in use',
  149: 'packet too large',
  151: 'quota exceeded',
  153: 'payload format invalid',
};

export function reasonName(code: number): string {
  return `${names[code] ?? 'refused'} (0x${code.toString(16)})`;
}

/** What a refusal is about: only those that are about the payload can be cured by setting it aside. */
export function refusalKind(code: number): Exclude<Refusal['kind'], 'cloud'> {
  if (code === 0x95 || code === 0x99) return 'payload';
  return code === 0x80 || code === 0x83 ? 'unclear' : 'rights';
}
