import type { DriverError, DriverHost } from '#driver';
import { holdsBits } from './address.ts';
import type { Decoded } from './codec.ts';
import type { Link } from './link.ts';
import {
  type ModbusDevice,
  noValueError,
  type ReadPlan,
  type ReadyPoint,
} from './modbus-device.ts';
import { abortError, ModbusError, plainError } from './modbus-error.ts';
import { exceptionOf, exceptionReason, readRequest } from './pdu.ts';
import { type Block, halve } from './planner.ts';

/** A device that says it is busy is asked once more after this long. */
const busyRetryMs = 100;
/** Blocks of old plans are forgotten some day. */
const mostSilent = 256;

/** What came out for one point. */
export type Outcome =
  | { readonly time: number; readonly decoded: Decoded }
  | { readonly time: number; readonly error: DriverError };

/** The exception of an answer, thrown so that it can be told from a missing answer. */
interface Refused {
  readonly exception: number;
}

/** Carries out one plan on one device: requests, retries, and bisection around refused registers. */
export class BlockReader {
  readonly #host: DriverHost;
  readonly #link: Link;
  readonly #device: ModbusDevice;
  readonly #signal: AbortSignal;
  readonly #count: (exception: number) => void;
  readonly #outcomes = new Map<string, Outcome>();
  /** The device itself sent something. */
  #answered = false;
  /** Why the remaining blocks are not asked for. */
  #stop: ModbusError | undefined;
  #firstFailure: ModbusError | undefined;

  constructor(
    host: DriverHost,
    link: Link,
    device: ModbusDevice,
    signal: AbortSignal,
    count: (exception: number) => void,
  ) {
    this.#host = host;
    this.#link = link;
    this.#device = device;
    this.#signal = signal;
    this.#count = count;
  }

  /**
   * Reads all blocks, up to `lanes` at a time. Rejects with a ModbusError if the device answered
   * nothing at all, if the link was closed or if the caller gave up.
   */
  async read(blocks: ReadPlan['blocks'], lanes: number): Promise<ReadonlyMap<string, Outcome>> {
    const { silent } = this.#device;
    const order =
      silent.size === 0
        ? blocks
        : blocks.toSorted((a, b) => Number(silent.has(keyOf(a))) - Number(silent.has(keyOf(b))));
    let next = 0;
    const work = async () => {
      while (next < order.length) {
        const block = order[next++] as Block<ReadyPoint>;
        if (this.#stop === undefined) await this.#readBlock(block);
        else this.#fail(block, this.#stop);
      }
    };
    await Promise.all(Array.from({ length: Math.min(lanes, order.length) }, work));
    if (!this.#answered && this.#firstFailure !== undefined) throw this.#firstFailure;
    return this.#outcomes;
  }

  async #readBlock(block: Block<ReadyPoint>): Promise<void> {
    try {
      await this.#readPart(block);
      this.#device.silent.delete(keyOf(block));
    } catch (error) {
      const failure = error as ModbusError;
      if (failure.kind === 'closed' || this.#signal.aborted) throw failure;
      this.#firstFailure ??= failure;
      if (failure.kind === 'timeout') this.#askLast(block);
      // Only a malformed answer says nothing about the next block.
      if (failure.kind !== 'bad-response') this.#stop ??= failure;
      this.#fail(block, failure);
    }
  }

  #askLast(block: Block<ReadyPoint>): void {
    const { silent } = this.#device;
    if (silent.size >= mostSilent) silent.clear();
    silent.add(keyOf(block));
  }

  /** Returns whether everything in the block could be read in one request. */
  async #readPart(block: Block<ReadyPoint>): Promise<boolean> {
    const answer = await this.#ask(block);
    if (!('exception' in answer)) {
      this.#decode(block, answer);
      return true;
    }
    const { exception } = answer;
    const now = this.#host.monotonic();
    if (exception !== 2 && exception !== 3) {
      this.#failWith(block, exception);
      return false;
    }
    const halves = halve(block);
    if (halves === undefined) {
      const isNoValue = this.#device.settings.quirks.noValueExceptions.has(exception);
      for (const point of block.points) {
        this.#device.refusals.refuse(point, exception, now, isNoValue);
      }
      if (isNoValue) {
        this.#failWith(block, exception);
        return false;
      }
      this.#host.log.info(
        { device: this.#device.id, points: block.points.map(({ id }) => id), exception },
        'points refused by their device; they are asked for again later',
      );
      this.#failWith(block, exception);
      return false;
    }
    const [left, right] = this.#device.settings.quirks.firstReadAtZero
      ? (halves.map(fromZero) as [Block<ReadyPoint>, Block<ReadyPoint>])
      : halves;
    const leftWhole = await this.#readPart(left);
    const rightWhole = await this.#readPart(right);
    if (leftWhole && rightWhole && right.address > 0) {
      this.#device.refusals.cut(block.table, right.address, this.#host.monotonic());
    }
    return false;
  }

  /** One request with the repetitions that its failure allows. */
  async #ask({ table, address, count }: Block<ReadyPoint>): Promise<Buffer | Refused> {
    const { unit, timeoutMs, interRequestMs, retries, quirks } = this.#device.settings;
    const pdu = readRequest(table, address, count);
    let attempts = 0;
    let busy = false;
    let lost = false;
    for (;;) {
      try {
        const answer = await this.#link.request({
          unit,
          pdu,
          timeoutMs,
          interRequestMs,
          ...(quirks.ignoreUnitId && { ignoreUnitId: true }),
          signal: this.#signal,
        });
        const exception = exceptionOf(answer);
        if (exception === undefined) {
          this.#answered = true;
          return answer;
        }
        this.#count(exception);
        const { reason, text } = exceptionReason(exception);
        if (reason === 'no-path') {
          throw new ModbusError('no-path', `${text} (unit ${unit})`, {
            code: `exception ${exception}`,
          });
        }
        this.#answered = true;
        if (reason !== 'busy' || busy) return { exception };
        busy = true;
        await this.#pause(busyRetryMs);
      } catch (error) {
        const failure = error as ModbusError;
        if (this.#signal.aborted) throw failure;
        const again = failure.kind === 'timeout' || failure.kind === 'bad-response';
        if (again && attempts < retries) attempts += 1;
        else if (failure.stale === true && !lost) lost = true;
        else throw failure;
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        timer[Symbol.dispose]();
        reject(abortError(this.#signal));
      };
      const timer = this.#host.setTimeout(() => {
        this.#signal.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      this.#signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #decode(block: Block<ReadyPoint>, answer: Buffer): void {
    const time = this.#host.now();
    const now = this.#host.monotonic();
    const width = holdsBits(block.table) ? 1 : 2;
    const data = answer.subarray(2);
    for (const point of block.points) {
      const decoded = point.decode(data, (point.address - block.address) * width);
      this.#outcomes.set(point.id, { time, decoded });
      this.#device.refusals.forgive(point, now);
    }
  }

  #failWith(block: Block<ReadyPoint>, exception: number): void {
    if (this.#device.settings.quirks.noValueExceptions.has(exception)) {
      this.#fail(block, noValueError(exception));
      return;
    }
    const { reason, text } = exceptionReason(exception);
    this.#fail(block, { kind: reason, message: text, code: `exception ${exception}` });
  }

  #fail(block: Block<ReadyPoint>, error: DriverError): void {
    const time = this.#host.now();
    for (const { id } of block.points) {
      if (!this.#outcomes.has(id)) this.#outcomes.set(id, { time, error: plainError(error) });
    }
  }
}

function fromZero(block: Block<ReadyPoint>): Block<ReadyPoint> {
  const { table, address, count } = block;
  return holdsBits(table) ? { ...block, address: 0, count: address + count } : block;
}

function keyOf({ table, address, count }: Block<ReadyPoint>): string {
  return `${table} ${address} ${count}`;
}
