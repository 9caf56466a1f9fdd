import { createHash } from 'node:crypto';
import mqtt, { type MqttClient } from 'mqtt';
import { Receiver, type ReceiverCounters, type Watermark } from '../../tools/receiver/receiver.ts';

/**
 * The cloud's end in a test: the reference receiver, acking, that also checks what the receiver
 * leaves to the gateway – that a repeat has the same id and the same bytes.
 */
export class CheckingReceiver {
  readonly #bodies = new Map<string, string>();
  readonly #receiver: Receiver;
  #client: MqttClient | undefined;
  #timer: NodeJS.Timeout | undefined;
  #changedRepeats = 0;
  #failures = 0;

  constructor() {
    this.#receiver = new Receiver({
      store: () => {},
      acknowledge: (mark) => this.#acknowledge(mark),
      replay: () => {},
    });
  }

  /** Repeats whose bytes differ from the first time. */
  get changedRepeats(): number {
    return this.#changedRepeats;
  }

  /** Messages that could not be taken. */
  get failures(): number {
    return this.#failures;
  }

  counters(): ReceiverCounters {
    return this.#receiver.counters();
  }

  watermarks(): readonly Watermark[] {
    return this.#receiver.watermarks();
  }

  /** Connects, and again whenever the broker comes back. */
  start(url: string): void {
    const client = mqtt.connect(url, { clientId: 'cloud', clean: true, reconnectPeriod: 100 });
    this.#client = client;
    client.on('connect', () => {
      client.subscribe('riser/1/+/+/+', { qos: 1 });
    });
    client.on('error', () => {});
    client.on('message', (topic, payload) => {
      if (/\/(alarm|live|bulk)$/.test(topic)) this.#take(topic, payload);
    });
    this.#timer = setInterval(() => {
      this.#receiver.tick().catch(() => {
        this.#failures += 1;
      });
    }, 100);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#client?.end(true);
  }

  #take(topic: string, payload: Buffer): void {
    const { source, id } = JSON.parse(payload.toString()) as { source: string; id: string };
    const digest = createHash('sha256').update(payload).digest('base64');
    const before = this.#bodies.get(`${source} ${id}`);
    if (before === undefined) this.#bodies.set(`${source} ${id}`, digest);
    else if (before !== digest) this.#changedRepeats += 1;
    this.#receiver.accept(topic, payload).catch(() => {
      this.#failures += 1;
    });
  }

  #acknowledge({ tenant, gateway, lane, epoch, sequence }: Watermark): void {
    this.#client?.publish(
      `riser/1/${tenant}/${gateway}/${lane}/ack`,
      JSON.stringify({ epoch, seq: sequence }),
      { qos: 1, retain: true },
    );
  }
}
