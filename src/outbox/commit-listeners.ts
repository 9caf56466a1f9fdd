import type { Notes } from '../model/notes.ts';

type Listener = (sids: readonly number[]) => void;

/** Those who want to know when streams have grown. */
export class CommitListeners {
  readonly #notes: Pick<Notes, 'listenerFailed'>;
  readonly #listeners = new Set<Listener>();

  constructor(notes: Pick<Notes, 'listenerFailed'>) {
    this.#notes = notes;
  }

  /** Returns the way to stop it. */
  add(listener: Listener): () => void {
    // Its own function, so that the same listener may be given twice.
    const own: Listener = (sids) => listener(sids);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** One that fails is noted; the others are told all the same. */
  tell(sids: readonly number[]): void {
    for (const listener of this.#listeners) {
      try {
        listener(sids);
      } catch (error) {
        this.#notes.listenerFailed({ event: 'outbox-commit', error });
      }
    }
  }
}
