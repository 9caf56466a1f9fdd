import { checkSchema } from './check-schema.ts';
import type { FindingList } from './finding-list.ts';
import { pointerStep } from './json-pointer.ts';
import type { Sources } from './read-sources.ts';
import type { SourceFile } from './source-file.ts';
import { isMapping, type Mapping, readYaml } from './yaml-document.ts';

/** One thing of a document: a link, a device, a tenant. */
export interface Entry {
  readonly at: SourceFile;
  readonly pointer: string;
  readonly data: Mapping;
  readonly id: string;
  /** False when its schema was broken; it is known by name, but not used. */
  readonly valid: boolean;
}

/** The things of one folder by their id. */
export interface Entries {
  readonly byId: ReadonlyMap<string, Entry>;
  /** False when a file could not be read, so that a missing id proves nothing. */
  readonly complete: boolean;
}

/** Reads the documents of a folder: syntax, schema, and that no id stands twice. */
export async function readDocuments(
  sources: Sources,
  schema: object,
  key: string,
  what: string,
  findings: FindingList,
): Promise<Entries> {
  const byId = new Map<string, Entry>();
  let complete = sources.complete;
  for (const file of sources.files) {
    const data = await readYaml(file, findings);
    if (data === undefined) {
      complete = false;
      continue;
    }
    // A file with nothing but comments is on its way to being filled in.
    if (Object.keys(data).length === 0) continue;
    const wrong = new Set(checkSchema(schema, data, { at: file }, findings).map(entryOf));
    const list = data[key];
    if (!Array.isArray(list)) {
      complete = false;
      continue;
    }
    for (const [i, item] of list.entries()) {
      const pointer = pointerStep(key) + pointerStep(i);
      if (!isMapping(item)) continue;
      const id = item.id;
      if (typeof id !== 'string') {
        complete = false;
        continue;
      }
      const entry: Entry = { at: file, pointer, data: item, id, valid: !wrong.has(pointer) };
      const first = byId.get(id);
      if (first === undefined) byId.set(id, entry);
      else reportTwice(what, first, entry, findings);
    }
  }
  return { byId, complete };
}

/** `/devices/3` of `/devices/3/groups/fast`. */
function entryOf(pointer: string): string {
  return pointer.split('/').slice(0, 3).join('/');
}

function reportTwice(what: string, first: Entry, second: Entry, findings: FindingList): void {
  const place = first.at.locate(`${first.pointer}/id`, 'key');
  findings.add({
    code: 'E1306',
    at: second.at,
    pointer: `${second.pointer}/id`,
    message: `${what} "${second.id}" is there already: ${first.at.name}:${place.line}`,
    hint: 'change one of the two ids',
  });
}
