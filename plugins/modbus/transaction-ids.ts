// A device that loses a request now and then would fill the whole range in the end.
const crowd = 1024;

/**
 * Transaction ids of one connection. The id of a request that timed out is not used again until its
 * answer has come or the connection is closed: an id that comes back too early makes the late
 * answer look like the right one.
 */
export class TransactionIds {
  /** By id, the monotonic time at which its request was sent. */
  readonly #quarantine = new Map<number, number>();
  #last = -1;

  /** An id that neither waits for an answer nor is in quarantine. */
  take(inUse: { has(id: number): boolean }): number {
    do {
      this.#last = (this.#last + 1) & 0xffff;
    } while (inUse.has(this.#last) || this.#quarantine.has(this.#last));
    return this.#last;
  }

  quarantine(id: number, sentAt: number): void {
    this.#quarantine.set(id, sentAt);
  }

  /** When the request of an id in quarantine was sent, undefined if it was not; the id is free again. */
  release(id: number): number | undefined {
    const sentAt = this.#quarantine.get(id);
    this.#quarantine.delete(id);
    return sentAt;
  }

  /** So many answers are missing that a new connection is the better start. */
  get crowded(): boolean {
    return this.#quarantine.size >= crowd;
  }

  /** A new connection: whatever comes on it belongs to it. */
  clear(): void {
    this.#quarantine.clear();
  }
}
