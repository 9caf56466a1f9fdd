import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';
import type { Json } from '#driver';
import { seededRandom } from './seeded-random.ts';

/** How the devices of a bench talk; the kit makes the wrong answers out of the right ones. */
export interface Wire {
  /** Cuts what has arrived into whole requests; `rest` is the beginning of the next one. */
  split(bytes: Buffer): { readonly requests: readonly Buffer[]; readonly rest: Buffer };
  /** The right answer. Numbers in it are higher by `salt`, so that an old answer can be told. */
  answer(request: Buffer, salt: number): Buffer;
}

/**
 * What a peer does with requests. `late`: the answer comes together with the one to the next
 * request; `crooked`: right but for one changed byte at the start; `slow`: right, after 20 ms.
 */
export type Mood = 'right' | 'silent' | 'garbage' | 'short' | 'crooked' | 'late' | 'slow' | 'fuzz';

/** What a driver under test is connected to, and what is counted there. */
export interface ContractPeer {
  /** The `config` of a link that leads to it. */
  readonly link: Json;
  /** Requests that arrived since the start. */
  readonly requests: number;
  /** The newest 1000 of them. */
  readonly log: readonly Buffer[];
  /** Answers sent since the start, right or wrong. */
  readonly answers: number;
  /** Connections that are open now. */
  readonly connections: number;
  /** The most requests that waited for an answer at one time. */
  readonly mostAtOnce: number;
  mood: Mood;
  /** What the numbers of right answers are raised by. */
  salt: number;
  close(): Promise<void>;
}

const slowMs = 20;
const seed = 20_261_120;

/** Starts a TCP server on loopback that speaks `wire`; it ends with the test. */
export async function startTcpPeer(
  t: Pick<ExecutionContext, 'teardown'>,
  wire: Wire,
  linkOf: (port: number) => Json,
): Promise<ContractPeer> {
  const server = createServer({ noDelay: true });
  const sockets = new Set<Socket>();
  const random = seededRandom(seed);
  let owed: { readonly socket: Socket; readonly answer: Buffer } | undefined;
  let atOnce = 0;
  const peer = {
    link: null as Json,
    requests: 0,
    log: [] as Buffer[],
    answers: 0,
    connections: 0,
    mostAtOnce: 0,
    mood: 'right' as Mood,
    salt: 0,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
  const send = (socket: Socket, ...chunks: readonly Buffer[]) => {
    atOnce -= 1;
    peer.answers += 1;
    if (!socket.destroyed) for (const chunk of chunks) socket.write(chunk);
  };
  const fuzz = (socket: Socket, right: Buffer, isFirst: boolean) => {
    // One right answer a connection: what is fuzzed is the talk, not the way back to it.
    if (isFirst) return send(socket, right);
    send(socket, mutated(right, random));
    if (random() < 0.1) socket.destroy();
  };
  const answer = (socket: Socket, request: Buffer, isFirst: boolean) => {
    peer.requests += 1;
    if (peer.log.push(request) > 1_000) peer.log.shift();
    atOnce += 1;
    peer.mostAtOnce = Math.max(peer.mostAtOnce, atOnce);
    const right = wire.answer(request, peer.salt);
    const before = owed;
    owed = undefined;
    if (peer.mood === 'right') {
      // What a device still owed on a connection that is gone never comes.
      const late = before?.socket === socket ? [before.answer] : [];
      return send(socket, ...late, right);
    }
    if (peer.mood === 'garbage') return send(socket, noise(24, random));
    if (peer.mood === 'short') return send(socket, right.subarray(0, right.length >> 1));
    if (peer.mood === 'crooked') return send(socket, crooked(right));
    if (peer.mood === 'fuzz') return fuzz(socket, right, isFirst);
    if (peer.mood === 'slow') return void setTimeout(send, slowMs, socket, right);
    if (peer.mood === 'late') owed = { socket, answer: right };
    atOnce -= 1;
  };
  server.on('connection', (socket) => {
    sockets.add(socket);
    peer.connections = sockets.size;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      peer.connections = sockets.size;
    });
    let rest: Buffer = Buffer.alloc(0);
    let answered = 0;
    socket.on('data', (chunk: Buffer) => {
      const cut = wire.split(Buffer.concat([rest, chunk]));
      rest = cut.rest;
      for (const request of cut.requests) {
        answer(socket, request, answered === 0);
        answered += 1;
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(peer.close);
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port was assigned');
  peer.link = linkOf(bound.port);
  return peer;
}

const noise = (length: number, random: () => number) =>
  Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));

function crooked(right: Buffer): Buffer {
  const wrong = Buffer.from(right);
  wrong[0] = (wrong[0] ?? 0) ^ 0xff;
  return wrong;
}

/** One of the things that noise, defects and malice make of an answer. */
function mutated(right: Buffer, random: () => number): Buffer {
  const wrong = Buffer.from(right);
  const place = Math.floor(random() * wrong.length);
  switch (Math.floor(random() * 6)) {
    case 0:
      wrong[place] = Math.floor(random() * 256);
      return wrong;
    case 1:
      return wrong.subarray(0, place);
    case 2:
      return Buffer.concat([wrong, noise(1 + Math.floor(random() * 40), random)]);
    case 3:
      return Buffer.concat([wrong, wrong]);
    case 4:
      return noise(1 + Math.floor(random() * 300), random);
    default:
      for (let n = 0; n < 8; n += 1) {
        wrong[Math.floor(random() * wrong.length)] = Math.floor(random() * 256);
      }
      return wrong;
  }
}
