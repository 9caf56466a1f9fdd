import path from 'node:path';
import test from 'ava';
import type { DeviceConfig, Json, PointRequest } from '#driver';
import createDriver from '../../plugins/_template/index.ts';
import { answerLine, numberOf } from '../../plugins/_template/test/device.ts';
import { loadCatalog } from '../../src/field/catalog.ts';
import { freePort } from '../support/free-port.ts';
import { keepsDriverContract } from './driver-contract.ts';
import { startTcpPeer, type Wire } from './tcp-peer.ts';

/** The plugin that authors copy keeps the contract itself; this file is what they copy for tests. */

const wire: Wire = {
  split(bytes) {
    const end = bytes.lastIndexOf('\n') + 1;
    const lines = bytes.subarray(0, end).toString('latin1').split('\n').slice(0, -1);
    return { requests: lines.map((line) => Buffer.from(line)), rest: bytes.subarray(end) };
  },
  answer: (request, salt) => Buffer.from(answerLine(request.toString('latin1'), salt)),
};

const point = (item: string): PointRequest => ({ pointId: item, address: { item } });

const device = (n: number): DeviceConfig => ({
  id: `room-${n}`,
  address: { prefix: `room${n}.` },
  options: {
    profile: {},
    points: ['temp', 'hum'].map((item) => ({ ...point(item), everyMs: 1_000 })),
  },
});

const linkTo = (port: number): Json => ({ host: '127.0.0.1', port, timeoutMs: 120 });

keepsDriverContract('template', createDriver, {
  folder: path.resolve('plugins/_template'),
  driver: 'template',
  device,
  expected: (n, pointId, salt) => numberOf(n, pointId, salt),
  badPoints: [point('nobody'), { pointId: 'empty', address: {} }],
  oddPoints: [
    { request: point('broken'), expected: 'flagged' },
    { request: point('endless'), expected: 'flagged' },
    { request: point('absent'), expected: 'flagged' },
  ],
  nowhere: async () => linkTo(await freePort()),
  startPeer: (t) => startTcpPeer(t, wire, linkTo),
});

test('the template is no plugin of the release', (t) => {
  const { drivers, problems } = loadCatalog(path.resolve('plugins'));
  t.deepEqual(problems, []);
  t.false(drivers.some(({ id }) => id === 'template'));
});
