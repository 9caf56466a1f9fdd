import {
  COLLECTION_STYLE,
  EVENT_ID,
  type Event,
  getScalarValue,
  parseEvents,
  SCALAR_STYLE,
} from 'js-yaml';
import { pointerStep } from './json-pointer.ts';
import type { Part } from './place.ts';

/** Offset of an entry in the text; of the nearest one above it when it does not exist. */
export type PlaceFinder = (pointer: string, part: Part) => number;

interface Collection {
  readonly pointer: string;
  readonly kind: 'map' | 'list';
  /** Pointer of the entry whose value comes next; empty while a key is awaited. */
  entry: string | undefined;
  index: number;
}

/**
 * Indexes a YAML text that was read before: pointer → where key and value begin. Reads the events
 * of js-yaml, so that positions agree with what was loaded; takes about as long as loading, which
 * is why nobody asks unless something is wrong.
 */
export function locateInYaml(text: string): PlaceFinder {
  const keys = new Map<string, number>();
  const values = new Map<string, number>();
  try {
    index(text, keys, values);
  } catch {
    // The text is no YAML: its errors carry places of their own.
  }
  return (pointer, part) => {
    for (let at = pointer; ; at = at.slice(0, at.lastIndexOf('/'))) {
      const key = keys.get(at);
      const value = values.get(at);
      const found = part === 'key' || at !== pointer ? (key ?? value) : (value ?? key);
      if (found !== undefined) return found;
      if (at === '') return 0;
    }
  };
}

function index(text: string, keys: Map<string, number>, values: Map<string, number>): void {
  const stack: Collection[] = [];
  let documents = 0;
  for (const event of parseEvents(text, { maxDepth: 100 })) {
    const top = stack.at(-1);
    if (event.type === EVENT_ID.DOCUMENT) {
      if (++documents > 1) return;
      stack.push({ pointer: '', kind: 'list', entry: '', index: 0 });
      continue;
    }
    if (event.type === EVENT_ID.POP) {
      stack.pop();
      continue;
    }
    if (top === undefined) continue;
    const start = startOf(event);
    if (top.kind === 'map' && top.entry === undefined) {
      if (event.type !== EVENT_ID.SCALAR) return;
      top.entry = top.pointer + pointerStep(getScalarValue(text, event));
      keys.set(top.entry, start);
      continue;
    }
    const pointer = entryOf(top);
    // A block begins below its key; the key is where a reader looks.
    const below = top.kind === 'map' && isBlock(event);
    if (start >= 0 && !below) values.set(pointer, start);
    if (event.type === EVENT_ID.MAPPING) {
      stack.push({ pointer, kind: 'map', entry: undefined, index: 0 });
    } else if (event.type === EVENT_ID.SEQUENCE) {
      stack.push({ pointer, kind: 'list', entry: undefined, index: 0 });
    }
  }
}

function entryOf(top: Collection): string {
  if (top.kind === 'map' || top.entry !== undefined) {
    const pointer = top.entry ?? '';
    if (top.kind === 'map') top.entry = undefined;
    return pointer;
  }
  return top.pointer + pointerStep(top.index++);
}

function startOf(event: Event): number {
  if (event.type === EVENT_ID.SCALAR) {
    // Quotes belong to the value that a reader sees.
    const quoted =
      event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED;
    return quoted && event.valueStart > 0 ? event.valueStart - 1 : event.valueStart;
  }
  if (event.type === EVENT_ID.ALIAS) return event.anchorStart;
  return event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE ? event.start : -1;
}

function isBlock(event: Event): boolean {
  if (event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE) {
    return event.style === COLLECTION_STYLE.BLOCK;
  }
  return (
    event.type === EVENT_ID.SCALAR &&
    (event.style === SCALAR_STYLE.LITERAL_BLOCK || event.style === SCALAR_STYLE.FOLDED_BLOCK)
  );
}
