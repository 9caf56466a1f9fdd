import test from 'ava';
import { HealthLoop } from '../../../src/kernel/health-loop.ts';
import { ManualClock } from '../../support/manual-clock.ts';

test('a gateway whose loop turns and whose store answers is alive', (t) => {
  const clock = new ManualClock();
  const health = new HealthLoop(clock);
  health.start();
  const beat = health.watch('outbox', 10_000);
  for (let n = 0; n < 20; n += 1) {
    clock.advance(9_000);
    beat();
    t.true(health.live());
  }
});

test('a store that does not answer for ten seconds ends the life, and its answer brings it back', (t) => {
  const clock = new ManualClock();
  const health = new HealthLoop(clock);
  health.start();
  const beat = health.watch('outbox', 10_000);
  clock.advance(10_000);
  t.true(health.live());
  clock.advance(1);
  t.deepEqual(health.check().overdue, ['outbox']);
  t.false(health.live());
  beat();
  t.true(health.live());
});

/** A loop that stalls: time passes, timers fire late. */
class StallingClock extends ManualClock {
  #stalled = 0;
  stall(ms: number): void {
    this.#stalled += ms;
  }
  override monotonic(): number {
    return super.monotonic() + this.#stalled;
  }
}

test('a stall of the event loop is seen by whoever asks first after it, and forgotten soon', (t) => {
  const clock = new StallingClock();
  const health = new HealthLoop(clock);
  health.start();
  clock.advance(5_000);
  t.true(health.live());

  clock.stall(2_600);
  t.false(health.live());
  clock.advance(500);
  t.is(health.check().lagMs, 2_600);
  t.false(health.live());

  clock.advance(2_000);
  t.true(health.live());
});

test('a short stall is no reason to restart', (t) => {
  const clock = new StallingClock();
  const health = new HealthLoop(clock);
  health.start();
  clock.stall(1_400);
  t.true(health.live());
  health.close();
  health.close();
  t.is(clock.pending, 0);
});
