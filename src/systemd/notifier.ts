import { spawn } from 'node:child_process';
import type { Notes } from '../model/notes.ts';

/** A message that took longer is given up; the next one is tried. */
const sendDeadlineMs = 5_000;
/** Messages that wait; beyond it the last one is replaced. */
const mostWaiting = 8;
const maxStatusLength = 200;

type Assignments = Map<string, string>;

export interface NotifierParts {
  /** Undefined: not under systemd, and every message is dropped. */
  readonly socket: string | undefined;
  readonly notes: Pick<Notes, 'partFailed'>;
  /** Program that sends; it comes with systemd. */
  readonly command?: string;
}

/**
 * Tells systemd how the gateway does. Node has no Unix datagram sockets, so each message is one run
 * of systemd-notify (about 20 ms in another process); one at a time, in order, and what can be
 * merged is. systemd-notify waits until systemd has read the message, so that it is not lost when
 * the sender has gone by then.
 */
export class Notifier {
  readonly #parts: NotifierParts;
  #waiting: Assignments[] = [];
  #sending: Promise<void> | undefined;

  constructor(parts: NotifierParts) {
    this.#parts = parts;
  }

  /** The start is over. */
  ready(status: string): Promise<void> {
    return this.#tell({ READY: '1', STATUS: status });
  }

  /** One line for `systemctl status`. */
  status(status: string): Promise<void> {
    return this.#tell({ STATUS: status });
  }

  /** A configuration is being loaded; ready() has to follow. */
  reloading(): Promise<void> {
    // systemd 253 wants the time of CLOCK_MONOTONIC, which is what process.hrtime gives.
    return this.#tell({
      RELOADING: '1',
      MONOTONIC_USEC: String(process.hrtime.bigint() / 1_000n),
    });
  }

  stopping(status: string): Promise<void> {
    return this.#tell({ STOPPING: '1', STATUS: status });
  }

  /** The gateway is alive. Only for the watchdog. */
  alive(): Promise<void> {
    return this.#tell({ WATCHDOG: '1' });
  }

  /** Waits until what was told is out. Never rejects. */
  async close(): Promise<void> {
    await this.#sending;
  }

  /** Resolves when it is out or given up; a failure is noted and never thrown. */
  #tell(assignments: Readonly<Record<string, string>>): Promise<void> {
    if (this.#parts.socket === undefined) return Promise.resolve();
    const message: Assignments = new Map(
      Object.entries(assignments).map(([name, value]) => [name, oneLine(value)]),
    );
    const last = this.#waiting.at(-1);
    if (last !== undefined && (mergeable(last, message) || this.#waiting.length >= mostWaiting)) {
      for (const [name, value] of message) last.set(name, value);
    } else {
      this.#waiting.push(message);
    }
    this.#sending ??= this.#drain().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  async #drain(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      try {
        await this.#send([...next].map(([name, value]) => `${name}=${value}`));
      } catch (error) {
        this.#parts.notes.partFailed({ part: 'systemd', error });
      }
    }
  }

  #send(assignments: readonly string[]): Promise<void> {
    const { socket = '', command = 'systemd-notify' } = this.#parts;
    return new Promise((resolve, reject) => {
      const child = spawn(command, assignments, {
        env: { PATH: process.env.PATH ?? '/usr/bin:/bin', NOTIFY_SOCKET: socket },
        stdio: 'ignore',
        timeout: sendDeadlineMs,
        killSignal: 'SIGKILL',
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        if (code === 0) resolve();
        else reject(new Error(`${command} ended with ${code ?? signal}`));
      });
    });
  }
}

/** READY after RELOADING ends the reload: they must not become one message. */
function mergeable(last: Assignments, next: Assignments): boolean {
  const changesState = (message: Assignments) =>
    message.has('READY') || message.has('RELOADING') || message.has('STOPPING');
  return !changesState(last) && !changesState(next);
}

function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a line break would begin another assignment.
  return text.replace(/[\u0000-\u001f\u007f]+/g, ' ').slice(0, maxStatusLength);
}
