import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import type { Part } from '../../../src/kernel/part.ts';
import { Supervisor } from '../../../src/kernel/supervisor.ts';
import { GatewayError } from '../../../src/model/errors.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function open(options: { startDeadlineMs?: number; closeDeadlineMs?: number } = {}) {
  const clock = new ManualClock();
  const story: string[] = [];
  const failed: string[] = [];
  const supervisor = new Supervisor({
    clock,
    notes: {
      partFailed: ({ part, error }) =>
        failed.push(
          `${part}: ${error instanceof GatewayError ? error.code : (error as Error).message}`,
        ),
    },
    ...options,
  });
  const part = (name: string, change: Partial<Part> = {}): Part => ({
    name,
    start: async () => void story.push(`start ${name}`),
    close: async () => void story.push(`close ${name}`),
    ...change,
  });
  return { supervisor, clock, story, failed, part };
}

const never = () => new Promise<never>(() => {});

test('parts start in order and close in reverse, once', async (t) => {
  const { supervisor, story, part } = open();
  await supervisor.startAll([part('outbox'), part('field'), part('uplink')]);
  await Promise.all([supervisor.close(), supervisor.close()]);
  await supervisor.close();

  t.deepEqual(story, [
    'start outbox',
    'start field',
    'start uplink',
    'close uplink',
    'close field',
    'close outbox',
  ]);
});

test('a part that cannot start closes itself and those before it, and the reason is passed on', async (t) => {
  const { supervisor, story, part } = open();
  const broken = part('field', {
    start: async () => {
      throw new GatewayError('PORT_IN_USE', 'port 1883 is taken');
    },
  });
  const error = await t.throwsAsync(supervisor.startAll([part('outbox'), broken, part('uplink')]), {
    instanceOf: GatewayError,
  });
  t.is(error.code, 'PORT_IN_USE');
  t.deepEqual(story, ['start outbox', 'close field', 'close outbox']);
});

test('a part that hangs in its start is given up and closed', async (t) => {
  const { supervisor, story, part } = open({ startDeadlineMs: 20 });
  let told: AbortSignal | undefined;
  const hanging = part('field', {
    start: (signal) => {
      told = signal;
      return never();
    },
  });
  await t.throwsAsync(supervisor.start(hanging), { message: /starting field took longer/ });
  t.true(told!.aborted);
  t.deepEqual(story, ['close field']);
});

test('a part that does not close is left behind, and the others still close', async (t) => {
  const { supervisor, story, failed, part } = open({ closeDeadlineMs: 20 });
  await supervisor.startAll([
    part('outbox'),
    part('field', { close: never }),
    part('uplink', {
      close: () => {
        throw new Error('no luck');
      },
    }),
  ]);
  await supervisor.close();
  t.deepEqual(story, ['start outbox', 'start field', 'start uplink', 'close outbox']);
  t.deepEqual(failed, ['uplink: no luck', 'field: DEADLINE']);
});

test('a background promise that rejects is noted and not an unhandled rejection', async (t) => {
  const { supervisor, failed } = open();
  supervisor.own('backup', Promise.reject(new Error('disk gone')));
  t.is(supervisor.pending, 1);
  await setImmediate();
  t.deepEqual(failed, ['backup: disk gone']);
  t.is(supervisor.pending, 0);
});

test('a loop that fails is run again after a wait, and ends when told', async (t) => {
  const { supervisor, clock, failed } = open();
  let runs = 0;
  const stop = supervisor.loop(
    'drain',
    async (signal) => {
      runs += 1;
      if (runs < 3) throw new Error(`failure ${runs}`);
      await new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
      );
    },
    { minMs: 1_000, maxMs: 60_000, random: () => 0.999 },
  );
  await clock.pass(0);
  t.is(runs, 1);
  await clock.pass(999);
  t.is(runs, 1);
  await clock.pass(1);
  t.is(runs, 2);
  await clock.pass(2_000);
  t.is(runs, 3);

  await stop();
  t.deepEqual(failed, ['drain: failure 1', 'drain: failure 2']);
});

test('loops end before the parts that they use', async (t) => {
  const { supervisor, story, part } = open();
  await supervisor.start(part('outbox'));
  supervisor.loop('drain', async (signal) => {
    await new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    story.push('end drain');
  });
  await supervisor.close();
  t.deepEqual(story, ['start outbox', 'end drain', 'close outbox']);
});

test('a part that is asked to start after the stop has begun is not started', async (t) => {
  const { supervisor, story, part } = open();
  await supervisor.close();
  await t.throwsAsync(supervisor.start(part('late')));
  t.deepEqual(story, []);
});
