import { exceptionOf } from '../pdu.ts';

/** What a device says about itself. */
export interface Identity {
  /** Texts by object id of FC43/14; 256 stands for the answer to FC17. */
  readonly objects: ReadonlyMap<number, string>;
  /** What is odd about its answers, for a person. */
  readonly oddities: readonly string[];
}

/** Asks one request and gives the answer; rejects when there is none. */
export type Ask = (pdu: Buffer) => Promise<Buffer>;

/** Key of the answer to FC17 among the objects. */
export const serverIdKey = 256;
/** Requests for one identity; a device that always announces more is left there. */
const maxRounds = 32;
const maxTextLength = 64;

/** Names of the objects (Modbus V1.1b3, 6.21). */
export const objectNames: Readonly<Record<number, string>> = {
  0: 'vendor',
  1: 'product code',
  2: 'revision',
  3: 'vendor url',
  4: 'product name',
  5: 'model name',
  6: 'application name',
  [serverIdKey]: 'server id (FC17)',
};

/**
 * Reads the identity of a device by FC43/14 and FC17. Rejects only when the device does not answer
 * at all; one that refuses or answers nonsense has an identity without objects.
 */
export async function readIdentity(ask: Ask): Promise<Identity> {
  const objects = new Map<number, string>();
  const oddities: string[] = [];
  let rounds = 0;
  for (const category of [1, 2]) {
    let next: number | undefined = category === 1 ? 0 : 3;
    let conformity = 0;
    while (next !== undefined) {
      rounds += 1;
      if (rounds > maxRounds) {
        oddities.push(`it announces more after ${maxRounds} answers`);
        break;
      }
      const answer = await ask(Buffer.from([0x2b, 0x0e, category, next]));
      if (exceptionOf(answer) !== undefined) break;
      const page = pageOf(answer);
      if (page === undefined) {
        oddities.push('its answer to FC43/14 is malformed');
        break;
      }
      for (const [id, text] of page.objects) objects.set(id, text);
      conformity = page.conformity;
      if (page.next !== undefined && page.next <= next) {
        oddities.push('it announces more and begins anew');
        break;
      }
      next = page.next;
    }
    // The second category is asked only of a device that says to have it.
    if (conformity < 2 || rounds > maxRounds) break;
  }
  const server = await serverId(ask);
  if (server !== undefined) objects.set(serverIdKey, server);
  return { objects, oddities };
}

/** The identity in one line: "Vendor Product 1.2", or what FC17 says. */
export function identityText({ objects }: Identity): string {
  const parts = [0, 4, 5, 1, 2].flatMap((id) => {
    // The names are better than the code; a device that has no name has the code.
    if (id === 1 && (objects.has(4) || objects.has(5))) return [];
    return objects.get(id) ?? [];
  });
  return [...new Set(parts)].join(' ') || (objects.get(serverIdKey) ?? '');
}

interface Page {
  readonly conformity: number;
  readonly next: number | undefined;
  readonly objects: ReadonlyArray<readonly [id: number, text: string]>;
}

function pageOf(answer: Buffer): Page | undefined {
  if (answer.length < 7 || answer[0] !== 0x2b || answer[1] !== 0x0e) return undefined;
  const count = answer[6] ?? 0;
  const objects: [number, string][] = [];
  let at = 7;
  for (let index = 0; index < count; index++) {
    const id = answer[at];
    const length = answer[at + 1];
    if (id === undefined || length === undefined || at + 2 + length > answer.length) {
      return undefined;
    }
    objects.push([id, textOf(answer.subarray(at + 2, at + 2 + length))]);
    at += 2 + length;
  }
  const more = answer[4] === 0xff;
  return { conformity: (answer[3] ?? 0) & 0x7f, next: more ? answer[5] : undefined, objects };
}

/** Not every device has it, and some that have not say nothing: no answer is no failure here. */
async function serverId(ask: Ask): Promise<string | undefined> {
  const answer = await ask(Buffer.from([0x11])).catch(() => undefined);
  if (answer === undefined || answer[0] !== 0x11) return undefined;
  const length = answer[1] ?? 0;
  if (length === 0 || answer.length < 2 + length) return undefined;
  const text = textOf(answer.subarray(2, 2 + length));
  return text === '' ? undefined : text;
}

function textOf(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replaceAll(/[^\x20-\x7e\xa0-\xff]+/g, ' ')
    .trim()
    .slice(0, maxTextLength);
}
