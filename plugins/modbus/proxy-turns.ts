/** Lets the gateway's own work on a link go first: the proxy waits until none is left. */
export class ProxyTurns {
  #working = 0;
  readonly #waiting = new Set<() => void>();

  /** The gateway itself begins to use the link; dispose the result when it is done. */
  work(): Disposable {
    this.#working += 1;
    return {
      [Symbol.dispose]: () => {
        this.#working -= 1;
        if (this.#working > 0) return;
        for (const wake of [...this.#waiting]) wake();
      },
    };
  }

  get isFree(): boolean {
    return this.#working === 0;
  }

  /** Calls back when the link is free, once; dispose the result to wait no longer. */
  onFree(wake: () => void): Disposable {
    const once = () => {
      this.#waiting.delete(once);
      wake();
    };
    this.#waiting.add(once);
    return { [Symbol.dispose]: () => void this.#waiting.delete(once) };
  }
}
