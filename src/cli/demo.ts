import { createWriteStream, mkdtempSync, rmSync, type WriteStream } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { MqttReceiver } from '../../tools/receiver/mqtt-receiver.ts';
import { Gateway } from '../gateway.ts';
import { GatewayError } from '../model/errors.ts';
import { DemoJudge } from './demo/demo-judge.ts';
import { demoTenant, writeDemoSite } from './demo/demo-site.ts';
import { type DemoPicture, renderDemo } from './demo/demo-view.ts';
import type { DemoOptions } from './demo-options.ts';
import { exitCodes } from './exit-codes.ts';

/** How often the table is drawn on a terminal, and elsewhere. */
const drawEveryMs = 500;
const printEveryMs = 5_000;
/** How long the demo waits at its end for what is on its way. */
const drainMs = 10_000;
const clearScreen = '\u001b[H\u001b[J';

/** The document of `riser demo --json`. */
export interface DemoResult {
  readonly schema: 'riser.demo/1';
  readonly ok: boolean;
  readonly seconds: number;
  readonly received: number;
  readonly stored: number;
  readonly lost: number;
  readonly missing: number;
  readonly duplicates: number;
  readonly wrong: number;
  readonly good: number;
  readonly uncertain: number;
  readonly bad: number;
  readonly firstWrong?: string;
}

/**
 * Runs a whole site on this machine: simulated devices, the real driver over real TCP, the outbox,
 * a broker and the reference receiver. Nothing is configured before and nothing is left behind.
 * Resolves with 0 only if data flowed and nothing was lost or wrong.
 */
export async function demo(options: DemoOptions): Promise<number> {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal);
  const folder = mkdtempSync(path.join(tmpdir(), 'riser-demo-'));
  const run = new DemoRun(folder, options);
  try {
    await run.start();
    await run.show(stop.signal);
    return await run.finish();
  } catch (error) {
    const { message, remedy } = GatewayError.from(error, 'INTERNAL', String(error));
    process.stderr.write(`riser: the demo could not run: ${message}\n  → ${remedy}\n`);
    return exitCodes.failed;
  } finally {
    await run.close();
    if (options.keep === true) process.stderr.write(`Kept: ${folder}\n`);
    else rmSync(folder, { recursive: true, force: true });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
  }
}

/** One run of the demo: gateway and receiver, and what the receiver saw. */
class DemoRun {
  readonly #folder: string;
  readonly #options: DemoOptions;
  readonly #judge = new DemoJudge();
  readonly #begun = performance.now();
  readonly #log: WriteStream;
  #gateway: Gateway | undefined;
  #receiver: MqttReceiver | undefined;

  constructor(folder: string, options: DemoOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#log = createWriteStream(path.join(folder, 'riser.log'));
  }

  async start(): Promise<void> {
    const { upstream } = this.#options;
    const config = await writeDemoSite(this.#folder, upstream);
    this.#gateway = await Gateway.create({
      config,
      // Variables of a real installation on this machine are not for the demo.
      env: {},
      flags: {},
      // The table is what one looks at; the log is in the folder, for --keep.
      log: this.#log,
      onBroker: (broker) => this.#receive(broker.urlFor('receiver')),
    });
    // A receiver that comes later than the first event could never say that nothing is missing.
    if (upstream !== undefined) await this.#receive(upstream);
    await this.#gateway.start();
  }

  /** Shows what happens until time is over or the signal aborts. */
  async show(signal: AbortSignal): Promise<void> {
    const { forMs = Number.POSITIVE_INFINITY, json } = this.#options;
    const live = process.stdout.isTTY && json !== true;
    const everyMs = live ? drawEveryMs : printEveryMs;
    for (;;) {
      const left = forMs - (performance.now() - this.#begun);
      if (left <= 0 || signal.aborted) return;
      await wait(Math.min(everyMs, left), undefined, { signal }).catch(() => {});
      if (json !== true)
        process.stdout.write(`${live ? clearScreen : ''}${renderDemo(this.#picture())}\n`);
    }
  }

  /** Waits for what was stored until now to arrive, says how it went, and gives the exit code. */
  async finish(): Promise<number> {
    const control = this.#gateway?.control;
    const marks = (control?.streams() ?? []).map(({ lane, epoch, next }) => ({
      lane,
      epoch,
      last: next - 1,
    }));
    const missing = () =>
      marks.reduce((sum, { lane, epoch, last }) => {
        const got = this.#receiver?.receiver
          .watermarks()
          .find((mark) => mark.lane === lane && mark.epoch === epoch)?.sequence;
        return sum + Math.max(0, last - (got ?? 0));
      }, 0);
    const end = performance.now() + drainMs;
    while (missing() > 0 && performance.now() < end) await wait(50);
    const result = this.#result(
      marks.reduce((sum, { last }) => sum + last, 0),
      missing(),
    );
    process.stdout.write(
      this.#options.json === true ? `${JSON.stringify(result)}\n` : resultText(result),
    );
    return result.ok ? exitCodes.ok : exitCodes.failed;
  }

  async close(): Promise<void> {
    await this.#receiver?.close();
    await this.#gateway?.close('end of the demo');
    await new Promise<void>((resolve) => this.#log.end(resolve));
  }

  #result(stored: number, missing: number): DemoResult {
    const {
      received = 0,
      lost = 0,
      duplicates = 0,
      outOfOrder = 0,
    } = this.#receiver?.receiver.counters() ?? {};
    const { good, uncertain, bad, wrong, firstWrong } = this.#judge.verdict();
    return {
      schema: 'riser.demo/1',
      ok: good > 0 && lost === 0 && missing === 0 && wrong === 0 && outOfOrder === 0,
      seconds: Math.round((performance.now() - this.#begun) / 100) / 10,
      received,
      stored,
      lost,
      missing,
      duplicates,
      wrong,
      good,
      uncertain,
      bad,
      ...(firstWrong === undefined ? {} : { firstWrong }),
    };
  }

  #picture(): DemoPicture {
    const control = this.#gateway?.control;
    const status = control?.status();
    const counters = this.#receiver?.receiver.counters();
    const [uplink] = status?.uplinks ?? [];
    return {
      seconds: (performance.now() - this.#begun) / 1000,
      upstream: uplink === undefined ? 'off' : `${uplink.state} (${uplink.ackLevel ?? 'no'} ack)`,
      socket: this.#gateway?.socket ?? '',
      values: control?.values() ?? [],
      stored: status?.outbox.committedEvents ?? 0,
      waiting: status?.outbox.pending ?? 0,
      received: counters?.received ?? 0,
      lost: counters?.lost ?? 0,
      duplicates: counters?.duplicates ?? 0,
      verdict: this.#judge.verdict(),
      attention: (status?.conditions ?? [])
        .filter(({ severity, code }) => severity !== 'info' && code !== 'clock-unsynced')
        .map(({ title, subject }) => (subject === '' ? title : `${title}: ${subject}`)),
    };
  }

  async #receive(url: string): Promise<void> {
    this.#receiver = new MqttReceiver({
      url,
      tenant: demoTenant,
      ack: 'cloud',
      tickMs: 200,
      store: ({ type, data }) => {
        if (type === 'riser.readings.v1') this.#judge.take(data);
      },
    });
    await Promise.race([this.#receiver.start(), this.#tooLate()]);
  }

  async #tooLate(): Promise<never> {
    await wait(drainMs, undefined, { ref: false });
    throw new GatewayError(
      'UPSTREAM_UNREACHABLE',
      `no broker answers at ${this.#options.upstream ?? 'embedded'}`,
    );
  }
}

function resultText(result: DemoResult): string {
  const { ok, seconds, received, lost, missing, duplicates, wrong, bad, firstWrong } = result;
  return [
    `${ok ? 'Good' : 'NOT GOOD'}: ${received} received in ${seconds} s, lost ${lost + missing}, duplicates ${duplicates}, wrong ${wrong}${firstWrong === undefined ? '' : ` (${firstWrong})`}.`,
    `${bad} readings were bad on purpose: each came with its reason, none with a value.`,
    '',
  ].join('\n');
}
