import type { Notes } from '../../src/model/notes.ts';

/** Notes that count their calls, for tests that ask what was noted. */
export function countingNotes(): { readonly notes: Notes; readonly calls: Map<string, object[]> } {
  const calls = new Map<string, object[]>();
  const notes = new Proxy({} as Notes, {
    get: (_, name) => (facts: object) => {
      const key = String(name);
      calls.set(key, [...(calls.get(key) ?? []), facts]);
    },
  });
  return { notes, calls };
}

/** Notes that nobody reads. */
export function silentNotes(): Notes {
  return new Proxy({} as Notes, { get: () => () => {} });
}
