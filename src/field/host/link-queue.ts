/** What a technician or a command asks of a link; it goes before the polls. */
export interface Errand {
  /** Writes go before reads; an exclusive one has the link for itself. */
  readonly kind: 'write' | 'read' | 'exclusive';
  /** At most one thing at a time is asked of a device. */
  readonly device?: string;
  /** Never rejects. */
  run(): Promise<void>;
  /** It will not be run: the link is closed. */
  refuse(): void;
}

export interface LinkQueueOptions {
  /** How many devices may be asked at the same time. */
  readonly concurrency: number;
  /** Polls, or probes, a device that was offered. Never rejects. */
  readonly poll: (device: string) => Promise<void>;
  /** Called when the link begins or ceases to be at work. */
  readonly busy: (busy: boolean) => void;
}

/** Errands that may wait. */
const maxErrands = 1_000;
/** So many polls go between two errands, if any are waiting: errands must not starve them. */
const pollsBetweenErrands = 3;

/**
 * Who is asked next on a link: writes, then on-demand reads, then polls; devices take turns; one
 * question at a time for each device.
 */
export class LinkQueue {
  readonly #options: LinkQueueOptions;
  readonly #writes: Errand[] = [];
  readonly #reads: Errand[] = [];
  readonly #exclusives: Errand[] = [];
  /** Devices with polls waiting, in the order of their turn. */
  readonly #turns = new Set<string>();
  readonly #asked = new Set<string>();
  #running = 0;
  #exclusive = false;
  #pollsOwed = 0;
  #open = false;

  constructor(options: LinkQueueOptions) {
    this.#options = options;
  }

  /** Whether a device waits for its turn. */
  isOffered(device: string): boolean {
    return this.#turns.has(device);
  }

  /** Polls a device at its next turn. */
  offer(device: string): void {
    this.#turns.add(device);
    this.pump();
  }

  /** Takes the turn back. */
  withdraw(device: string): void {
    this.#turns.delete(device);
  }

  /** False when too many errands wait. */
  add(errand: Errand): boolean {
    if (this.#writes.length + this.#reads.length + this.#exclusives.length >= maxErrands) {
      return false;
    }
    const queue = { write: this.#writes, read: this.#reads, exclusive: this.#exclusives };
    queue[errand.kind].push(errand);
    this.pump();
    return true;
  }

  /** The link is open: work begins. */
  resume(): void {
    this.#open = true;
    this.pump();
  }

  /** The link is not open: nothing is begun, and what waits is refused. */
  pause(): void {
    this.#open = false;
    this.#turns.clear();
    this.#pollsOwed = 0;
    for (const queue of [this.#writes, this.#reads, this.#exclusives]) {
      for (const errand of queue.splice(0)) errand.refuse();
    }
  }

  /** Begins whatever can be begun now. */
  pump(): void {
    while (this.#open && !this.#exclusive && this.#running < this.#options.concurrency) {
      const begun = this.#begin();
      if (!begun) return;
    }
  }

  #begin(): boolean {
    if (this.#turns.size === 0) this.#pollsOwed = 0;
    if (this.#pollsOwed > 0) {
      if (this.#beginPoll()) return true;
      // Those whose turn it is are being asked already; they do not keep others waiting.
    }
    return this.#beginErrand() || this.#beginPoll();
  }

  #beginErrand(): boolean {
    for (const queue of [this.#writes, this.#reads]) {
      const index = queue.findIndex(
        ({ device }) => device === undefined || !this.#asked.has(device),
      );
      const errand = queue[index];
      if (errand === undefined) continue;
      queue.splice(index, 1);
      if (this.#turns.size > 0) this.#pollsOwed = pollsBetweenErrands;
      this.#run(errand.device, () => errand.run());
      return true;
    }
    const exclusive = this.#exclusives[0];
    if (exclusive === undefined) return false;
    // While it waits for the others to end nothing new is begun.
    if (this.#running > 0) return false;
    this.#exclusives.shift();
    this.#exclusive = true;
    this.#run(undefined, () => exclusive.run());
    return true;
  }

  #beginPoll(): boolean {
    if (this.#exclusives.length > 0 && this.#pollsOwed === 0) return false;
    for (const device of this.#turns) {
      if (this.#asked.has(device)) continue;
      this.#turns.delete(device);
      if (this.#pollsOwed > 0) this.#pollsOwed -= 1;
      this.#run(device, () => this.#options.poll(device));
      return true;
    }
    return false;
  }

  #run(device: string | undefined, work: () => Promise<void>): void {
    if (device !== undefined) this.#asked.add(device);
    this.#running += 1;
    if (this.#running === 1) this.#options.busy(true);
    const done = () => {
      if (device !== undefined) this.#asked.delete(device);
      this.#running -= 1;
      if (this.#running === 0) {
        this.#exclusive = false;
        this.#options.busy(false);
      }
      this.pump();
    };
    work().then(done, done);
  }
}
