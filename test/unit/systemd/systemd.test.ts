import { existsSync } from 'node:fs';
import test from 'ava';
import { takeSystemdEnvironment } from '../../../src/systemd/environment.ts';
import { Notifier } from '../../../src/systemd/notifier.ts';
import { Watchdog } from '../../../src/systemd/watchdog.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { openNotifySocket } from '../../support/notify-socket.ts';

const peers = ['/usr/bin/systemd-notify', '/usr/bin/python3'].filter((file) => !existsSync(file));
const withPeers = peers.length === 0 ? test : test.skip;
const missing = peers.length === 0 ? '' : ` (not run: ${peers.join(' and ')} missing)`;

const notes = (failed: unknown[] = []) => ({
  partFailed: ({ error }: { error: unknown }) => void failed.push(error),
});

withPeers(`systemd hears of start, state and stop, in this order${missing}`, async (t) => {
  const socket = await openNotifySocket(t);
  const failed: unknown[] = [];
  const notifier = new Notifier({ socket: socket.path, notes: notes(failed) });
  await notifier.ready('42 points, 3 devices');
  t.is(await socket.next(), 'READY=1\nSTATUS=42 points, 3 devices');
  await notifier.alive();
  t.is(await socket.next(), 'WATCHDOG=1');
  await notifier.reloading();
  t.regex(await socket.next(), /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
  await notifier.stopping('closing');
  t.is(await socket.next(), 'STOPPING=1\nSTATUS=closing');
  t.deepEqual(failed, []);
});

withPeers(
  `messages that wait are merged, but a reload and its end are not${missing}`,
  async (t) => {
    const socket = await openNotifySocket(t);
    const notifier = new Notifier({ socket: socket.path, notes: notes() });
    void notifier.ready('first');
    for (let n = 0; n < 100; n += 1) void notifier.status(`status ${n}`);
    void notifier.alive();
    void notifier.reloading();
    void notifier.ready('again');
    await notifier.close();
    t.is(await socket.next(), 'READY=1\nSTATUS=first');
    t.is(await socket.next(), 'STATUS=status 99\nWATCHDOG=1');
    t.regex(await socket.next(), /^RELOADING=1/);
    t.is(await socket.next(), 'READY=1\nSTATUS=again');
  },
);

withPeers(`a text with a line break cannot add a message${missing}`, async (t) => {
  const socket = await openNotifySocket(t);
  const notifier = new Notifier({ socket: socket.path, notes: notes() });
  await notifier.status('meter\nSTOPPING=1');
  t.is(await socket.next(), 'STATUS=meter STOPPING=1');
});

test('without systemd nothing is sent and nothing fails', async (t) => {
  const notifier = new Notifier({ socket: undefined, notes: notes(), command: '/nonexistent' });
  await t.notThrowsAsync(notifier.ready('x'));
  await notifier.close();
});

test('a message that cannot be sent is noted, and the next one is tried', async (t) => {
  const failed: unknown[] = [];
  const notifier = new Notifier({
    socket: '/run/none',
    notes: notes(failed),
    command: '/nonexistent/systemd-notify',
  });
  await notifier.ready('x');
  await notifier.alive();
  t.is(failed.length, 2);
});

test('the watchdog is fed at half of its time, and only by a gateway that is alive', (t) => {
  const clock = new ManualClock();
  let alive = true;
  let fed = 0;
  const watchdog = new Watchdog({
    clock,
    watchdogMs: 30_000,
    live: () => alive,
    notifier: {
      alive: async () => {
        fed += 1;
      },
    },
  });
  watchdog.start();
  clock.advance(45_000);
  t.is(fed, 4);

  alive = false;
  clock.advance(60_000);
  t.is(fed, 4);

  alive = true;
  clock.advance(1_000);
  t.is(fed, 5);
  watchdog.close();
  clock.advance(60_000);
  t.is(fed, 5);
});

test('without WatchdogSec no timer runs', (t) => {
  const clock = new ManualClock();
  new Watchdog({
    clock,
    watchdogMs: undefined,
    live: () => true,
    notifier: { alive: async () => t.fail() },
  }).start();
  t.is(clock.pending, 0);
});

test('what systemd tells is taken out of the environment that children inherit', (t) => {
  const env = {
    NOTIFY_SOCKET: '/run/systemd/notify',
    WATCHDOG_USEC: '30000000',
    WATCHDOG_PID: '77',
    CREDENTIALS_DIRECTORY: '/run/credentials/riser.service',
  };
  t.deepEqual(takeSystemdEnvironment(env, 77), {
    notifySocket: '/run/systemd/notify',
    watchdogMs: 30_000,
    credentials: '/run/credentials/riser.service',
  });
  t.deepEqual(Object.keys(env), ['CREDENTIALS_DIRECTORY']);
  t.deepEqual(takeSystemdEnvironment({}), {});
});

test('a watchdog that is meant for another process is not fed', (t) => {
  const env = { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' };
  t.is(takeSystemdEnvironment(env, 77).watchdogMs, undefined);
});
