import type { Lane } from '../model/lane.ts';

/** Parts of the bytes that live and bulk get while both have something to send. */
const weights = { live: 80, bulk: 20 } as const;

/** Keeps live and bulk at 80 to 20, by bytes. */
export class LaneShare {
  #live = 0;
  #bulk = 0;

  /** Whose turn it is. */
  turn(): 'live' | 'bulk' {
    return this.#live / weights.live <= this.#bulk / weights.bulk ? 'live' : 'bulk';
  }

  sent(lane: Lane, bytes: number): void {
    if (lane === 'live') this.#live += bytes;
    else if (lane === 'bulk') this.#bulk += bytes;
  }

  /** One of them has nothing to send: it saves nothing up for later. */
  reset(): void {
    this.#live = 0;
    this.#bulk = 0;
  }
}
