import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';

/** One request as it arrived, with what is needed to answer it, rightly or wrongly. */
export interface PeerRequest {
  readonly socket: Socket;
  /** Counts the requests of all connections from 0. */
  readonly index: number;
  readonly transaction: number;
  readonly unit: number;
  readonly fc: number;
  readonly address: number;
  readonly count: number;
  /** The whole request from its function code on. */
  readonly pdu: Buffer;
}

/** A Modbus TCP server on loopback that does what a test tells it, however wrong. */
export interface Peer {
  readonly port: number;
  readonly requests: PeerRequest[];
  readonly sockets: Set<Socket>;
  /** Connections accepted since the start. */
  accepted: number;
  answer: (request: PeerRequest) => void;
}

/** Starts a peer; it ends with the test. */
export async function startPeer(
  t: ExecutionContext,
  answer: (request: PeerRequest) => void,
): Promise<Peer> {
  const server = createServer();
  const peer: Peer = { port: 0, requests: [], sockets: new Set(), accepted: 0, answer };
  server.on('connection', (socket) => {
    peer.accepted += 1;
    peer.sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => peer.sockets.delete(socket));
    socket.on('error', () => undefined);
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 12) {
        const length = 6 + rest.readUInt16BE(4);
        if (rest.length < length) break;
        const request: PeerRequest = {
          socket,
          index: peer.requests.length,
          transaction: rest.readUInt16BE(0),
          unit: rest.readUInt8(6),
          fc: rest.readUInt8(7),
          address: rest.readUInt16BE(8),
          count: rest.readUInt16BE(10),
          pdu: Buffer.from(rest.subarray(7, length)),
        };
        rest = rest.subarray(length);
        peer.requests.push(request);
        peer.answer(request);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(async () => {
    for (const socket of peer.sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port was assigned');
  return Object.assign(peer, { port: bound.port });
}

/** A frame with this PDU in answer to a request. */
export function frame(request: PeerRequest, pdu: readonly number[] | Buffer): Buffer {
  const head = Buffer.alloc(7);
  head.writeUInt16BE(request.transaction, 0);
  head.writeUInt16BE(pdu.length + 1, 4);
  head[6] = request.unit;
  return Buffer.concat([head, Buffer.from(pdu)]);
}

/** The right answer; by default each register holds its own address. */
export function registers(
  request: PeerRequest,
  value: (address: number) => number = (address) => address,
): Buffer {
  const data = Buffer.alloc(2 + request.count * 2);
  data[0] = request.fc;
  data[1] = request.count * 2;
  for (let index = 0; index < request.count; index++) {
    data.writeUInt16BE(value(request.address + index) & 0xffff, 2 + index * 2);
  }
  return frame(request, data);
}

/** The right answer for a table of bits. */
export function bits(request: PeerRequest, value: (address: number) => boolean): Buffer {
  const data = Buffer.alloc(2 + Math.ceil(request.count / 8));
  data[0] = request.fc;
  data[1] = data.length - 2;
  for (let index = 0; index < request.count; index++) {
    const place = 2 + (index >> 3);
    const bit = value(request.address + index) ? 1 << (index & 7) : 0;
    data.writeUInt8(data.readUInt8(place) | bit, place);
  }
  return frame(request, data);
}

/** An exception as answer. */
export function exception(request: PeerRequest, code: number): Buffer {
  return frame(request, [request.fc | 0x80, code]);
}
