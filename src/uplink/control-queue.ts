import type { Pipe } from './mqtt-session.ts';

/** Something small that goes before the events: birth, death, an answer. */
export interface ControlMessage {
  readonly topic: string;
  readonly payload: string;
  readonly retain?: boolean;
  /** The broker has answered, with whatever code. */
  readonly done?: () => void;
}

/** Answers that wait for room at most; the oldest is dropped for the next one. */
const limit = 32;

/** Small messages that wait for room on a connection: a broker's receive maximum counts them too. */
export class ControlQueue {
  readonly #waiting: ControlMessage[] = [];
  #dropped = 0;

  get dropped(): number {
    return this.#dropped;
  }

  push(message: ControlMessage): void {
    this.#waiting.push(message);
    if (this.#waiting.length > limit) {
      this.#waiting.shift();
      this.#dropped += 1;
    }
  }

  flush(pipe: Pipe): void {
    while (pipe.free > 0) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      pipe.publish(message.topic, message.payload, message.retain ?? false, () => message.done?.());
    }
  }

  clear(): void {
    this.#waiting.length = 0;
  }
}
