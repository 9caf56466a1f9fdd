import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import type { Json, PointRequest } from '#driver';
import createSimulator from '../../plugins/simulator/index.ts';
import { keepsDriverContract } from './driver-contract.ts';

/** The simulator asks nobody: it listens, and its points are counters of its own. */

const linkOn = (port: number): Json => ({
  listeners: [{ port, units: [1, 2, 3].map((unit) => ({ unit, model: 'meter' })) }],
});

const point = (counter: string): PointRequest => ({ pointId: counter, address: { counter } });

keepsDriverContract('simulator', createSimulator, {
  folder: path.resolve('plugins/simulator'),
  driver: 'simulator',
  device: (n) => ({
    id: `counters-${n}`,
    address: { listener: 0 },
    options: {
      profile: {},
      points: ['requests', 'connections'].map((name) => ({ ...point(name), everyMs: 1_000 })),
    },
  }),
  expected: () => 0,
  badPoints: [point('no-such-counter'), { pointId: 'empty', address: {} }],
  link: linkOn(0),
  async nowhere(t) {
    // A port that another program has.
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => {
      server.close();
    });
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new Error('no port was assigned');
    return linkOn(bound.port);
  },
});
