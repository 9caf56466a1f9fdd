import { randomUUID } from 'node:crypto';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { Receiver, type ReceiverOptions, type ReceiverState } from './receiver.ts';

export interface MqttReceiverOptions extends Pick<ReceiverOptions, 'store' | 'save'> {
  readonly url: string;
  /** All tenants when left out. */
  readonly tenant?: string;
  /** cloud: watermarks are published · none: only what MQTT itself acknowledges. */
  readonly ack: 'cloud' | 'none';
  readonly state?: ReceiverState;
  readonly tickMs?: number;
  readonly replayAfterMs?: number;
  readonly goneAfterMs?: number;
  /** User name, password, certificates, client id. */
  readonly connection?: IClientOptions;
  readonly onProblem?: (message: string) => void;
}

const lanes = ['alarm', 'live', 'bulk'];

/** A Receiver on MQTT: subscribes, acknowledges each message after it is stored, publishes watermarks. */
export class MqttReceiver {
  readonly receiver: Receiver;
  readonly #options: MqttReceiverOptions;
  #client: MqttClient | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MqttReceiverOptions) {
    this.#options = options;
    const { store, save, state, replayAfterMs, goneAfterMs } = options;
    this.receiver = new Receiver(
      {
        store,
        ...(save === undefined ? {} : { save }),
        ...(replayAfterMs === undefined ? {} : { replayAfterMs }),
        ...(goneAfterMs === undefined ? {} : { goneAfterMs }),
        acknowledge: ({ tenant, gateway, lane, epoch, sequence }) => {
          if (options.ack === 'none') return;
          this.#publish(`riser/1/${tenant}/${gateway}/${lane}/ack`, { epoch, seq: sequence }, true);
        },
        replay: ({ tenant, gateway, lane }, { epoch, from, to }) => {
          this.#publish(
            `riser/1/${tenant}/${gateway}/cmd/replay`,
            { id: randomUUID(), lane, epoch, from, to },
            false,
          );
        },
      },
      state,
    );
  }

  get connected(): boolean {
    return this.#client?.connected ?? false;
  }

  /** Resolves when the subscriptions stand for the first time; comes back by itself afterwards. */
  async start(): Promise<void> {
    const { url, tenant = '+', connection = {}, onProblem, tickMs = 1_000 } = this.#options;
    const client = connect(url, {
      // With a name of its own the broker keeps what comes while this program is away.
      clean: connection.clientId === undefined,
      reconnectPeriod: 500,
      keepalive: 15,
      ...(connection.protocolVersion === 5
        ? { properties: { sessionExpiryInterval: 86_400 } }
        : {}),
      ...connection,
    });
    this.#client = client;
    // Takes the place of "message" so that the broker's ack waits until the event is stored.
    client.handleMessage = (packet, done) => {
      const payload = packet.payload as Buffer;
      const taken = packet.topic.endsWith('/state')
        ? this.receiver.acceptState(packet.topic, payload)
        : this.receiver.accept(packet.topic, payload);
      taken.then(
        () => done(),
        (error: unknown) => {
          onProblem?.(`not stored: ${String(error)}`);
          done();
        },
      );
    };
    client.on('error', (error) => onProblem?.(error.message));
    this.#timer = setInterval(() => {
      this.receiver.tick().catch((error: unknown) => onProblem?.(`not saved: ${String(error)}`));
    }, tickMs);
    const filters = lanes.map((lane) => `riser/1/${tenant}/+/${lane}`);
    await new Promise<void>((resolve) => {
      client.on('connect', () => {
        client.subscribe(filters, { qos: 1 }, (error) => {
          if (error !== null && error !== undefined) {
            onProblem?.(`cannot subscribe: ${error.message}`);
            return;
          }
          // After the events: what is told of as sent before has come, or is missing.
          client.subscribe(`riser/1/${tenant}/+/state`, { qos: 1 }, (refused) => {
            if (refused !== null && refused !== undefined) {
              onProblem?.(`cannot learn what the gateways still hold: ${refused.message}`);
            }
            resolve();
          });
        });
      });
    });
  }

  /** Acknowledges what is stored and ends. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.receiver.tick().catch(() => {});
    const client = this.#client;
    if (client === undefined) return;
    await Promise.race([
      client.endAsync(!client.connected),
      new Promise((resolve) => setTimeout(resolve, 2_000).unref()),
    ]);
    await client.endAsync(true);
  }

  #publish(topic: string, payload: object, retain: boolean): void {
    // Nothing waits in a queue here: the next tick says the newest anyway.
    if (this.#client?.connected !== true) return;
    this.#client.publish(topic, JSON.stringify(payload), { qos: 1, retain }, (error) => {
      if (error !== undefined && error !== null) this.#options.onProblem?.(error.message);
    });
  }
}
