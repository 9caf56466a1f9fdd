import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readRequest } from '../../plugins/modbus/pdu.ts';
import { tcpSettings } from '../../plugins/modbus/settings.ts';
import { TcpLink } from '../../plugins/modbus/tcp-link.ts';
import { fakeHost } from '../../plugins/modbus/test/fake-host.ts';
import { type BenchResult, ratioOf } from './bench-result.ts';
import { type BenchScope, inScope } from './bench-scope.ts';
import { compiledPeer } from './compiled-peer.ts';
import { PeerProcess } from './peer-process.ts';
import { type Figures, interleaved, watched } from './rounds.ts';

export const name = 'modbus-link';
export const description =
  '125 holding registers of a libmodbus server: our link against the client of libmodbus';

const registers = 125;
const seconds = 3;
const sourceOf = (file: string) => fileURLToPath(new URL(file, import.meta.url));

/** Registers of the answer as numbers, as the client of libmodbus gives them. */
function wordsOf(answer: Buffer, words: Uint16Array): void {
  for (let n = 0; n < registers; n += 1) words[n] = answer.readUInt16BE(2 + 2 * n);
}

async function ours(port: number, depth: number): Promise<Figures> {
  const settings = tcpSettings({ host: '127.0.0.1', port, window: depth });
  const link = new TcpLink(fakeHost(), settings, () => false);
  const { signal } = new AbortController();
  await link.open(signal);
  const pdu = readRequest('holding', 0, registers);
  const words = new Uint16Array(registers);
  let count = 0;
  const begun = performance.now();
  const end = begun + seconds * 1_000;
  const reader = async () => {
    while (performance.now() < end) {
      const request = { unit: 1, pdu, timeoutMs: 1_000, interRequestMs: 0, signal };
      wordsOf(await link.request(request), words);
      count += 1;
    }
  };
  try {
    return await watched(async () => {
      await Promise.all(Array.from({ length: depth }, reader));
      return { perSecond: (count * 1_000) / (performance.now() - begun) };
    });
  } finally {
    await link.close();
  }
}

async function libmodbus(scope: BenchScope, client: string, port: number): Promise<Figures> {
  return await watched(async () => {
    const peer = new PeerProcess(scope, client, [String(port), String(seconds)]);
    return { perSecond: Number(await peer.line()) };
  });
}

export async function run(): Promise<readonly BenchResult[]> {
  return await inScope(async (scope) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'riser-bench-'));
    scope.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const client = compiledPeer(sourceOf('modbus-client.c'), folder);
    const server = compiledPeer(sourceOf('../support/libmodbus-server.c'), folder);
    if (client === undefined || server === undefined) {
      const note = 'peer missing: apt install gcc libmodbus-dev';
      return [{ name: 'our link / libmodbus', unit: '', note }];
    }
    const serving = new PeerProcess(scope, server, []);
    serving.tell('serve\n');
    const port = Number(await serving.line());
    const { one, eight, peer } = await interleaved({
      peer: () => libmodbus(scope, client, port),
      one: () => ours(port, 1),
      eight: () => ours(port, 8),
    });
    const ratio = (label: string, own: typeof one, least: number): BenchResult => ({
      name: label,
      value: ratioOf(own.rounds('perSecond'), peer.rounds('perSecond')),
      unit: '×',
      target: { atLeast: least },
      foreign: own.foreign,
    });
    return [
      peer.line('client of libmodbus, one after the other', 'perSecond', 'requests/s'),
      one.line('our link, 1 in flight', 'perSecond', 'requests/s'),
      eight.line('our link, 8 in flight', 'perSecond', 'requests/s'),
      ratio('our link, 1 in flight / libmodbus', one, 0.75),
      ratio('our link, 8 in flight / libmodbus', eight, 1.2),
    ];
  });
}
