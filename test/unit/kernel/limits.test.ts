import test from 'ava';
import { Backoff } from '../../../src/kernel/backoff.ts';
import { Limiter } from '../../../src/kernel/limiter.ts';
import { SystemClock } from '../../../src/kernel/system-clock.ts';
import {
  assertTenant,
  type TenantContext,
  TenantContexts,
} from '../../../src/kernel/tenant-context.ts';
import { sleep, withDeadline } from '../../../src/kernel/wait.ts';
import { tenantId } from '../../../src/model/ids.ts';
import { ManualClock } from '../../support/manual-clock.ts';

test('a limiter gives its burst at once and its rate in the long run, whatever the wall clock does', (t) => {
  const clock = new ManualClock();
  const limiter = new Limiter({ perSecond: 10, burst: 5 }, clock);
  let given = 0;
  while (limiter.tryTake()) given += 1;
  t.is(given, 5);

  clock.jumpWall(3_600_000);
  t.false(limiter.tryTake());
  for (let n = 0; n < 100; n += 1) {
    clock.advance(100);
    while (limiter.tryTake()) given += 1;
  }
  t.is(given, 105);
});

test('a limiter that has rested for long gives its burst and no more', (t) => {
  const clock = new ManualClock();
  const limiter = new Limiter({ perSecond: 10, burst: 5 }, clock);
  clock.advance(3_600_000);
  t.true(limiter.tryTake(5));
  t.false(limiter.tryTake());
});

test('a limiter takes all that is asked for or nothing', (t) => {
  const clock = new ManualClock();
  const limiter = new Limiter({ perSecond: 1, burst: 4 }, clock);
  t.true(limiter.tryTake(3));
  t.false(limiter.tryTake(2));
  t.true(limiter.tryTake(1));
});

test('a limiter says exactly how long to wait', (t) => {
  const clock = new ManualClock();
  const limiter = new Limiter({ perSecond: 3, burst: 4 }, clock);
  t.is(limiter.msUntil(4), 0);
  limiter.tryTake(4);
  const wait = limiter.msUntil(2);
  clock.advance(wait - 1);
  t.false(limiter.tryTake(2));
  clock.advance(1);
  t.true(limiter.tryTake(2));
  t.is(limiter.msUntil(5), Number.POSITIVE_INFINITY);
});

test('a wait before another try doubles up to its limit and begins anew after a reset', (t) => {
  const backoff = new Backoff({ minMs: 100, maxMs: 1_000, random: () => 0.999_999 });
  const waits = () => Array.from({ length: 6 }, () => backoff.next());
  t.deepEqual(waits(), [100, 200, 400, 800, 1_000, 1_000]);
  backoff.reset();
  t.deepEqual(waits(), [100, 200, 400, 800, 1_000, 1_000]);
});

test('waits are spread over the whole range at every attempt, so that gateways do not come back in step', (t) => {
  const backoff = new Backoff({ minMs: 100, maxMs: 1_100, random: () => 0.5 });
  const waits = Array.from({ length: 100 }, () => backoff.next());
  t.deepEqual(waits.slice(0, 5), [100, 150, 250, 450, 600]);
  // Half of the range, however often it failed: a spread before the limit would end at the limit.
  t.is(waits.at(-1), 600);
});

const acme = tenantId('acme');
const zeta = tenantId('zeta');

test('a context of one tenant is refused for the data of another', (t) => {
  const contexts = new TenantContexts([{ id: acme }, { id: zeta }]);
  t.notThrows(() => assertTenant(contexts.of(acme), acme));
  t.throws(() => assertTenant(contexts.of(acme), zeta), { code: 'TENANT_MISMATCH' });
});

test('a tenant that nobody configured has no context, and none can be forged', (t) => {
  const contexts = new TenantContexts([{ id: acme }]);
  t.throws(() => contexts.of(zeta), { code: 'TENANT_MISMATCH' });
  const forged = { tenant: acme } as TenantContext;
  t.throws(() => assertTenant(forged, acme), { code: 'TENANT_MISMATCH' });
  t.throws(() => assertTenant({ ...contexts.of(acme) }, acme), { code: 'TENANT_MISMATCH' });
});

test('the context of a tenant that was removed is not valid any more, that of another stays', (t) => {
  const contexts = new TenantContexts([{ id: acme }, { id: zeta }]);
  const [old, kept] = [contexts.of(zeta), contexts.of(acme)];
  contexts.replace([{ id: acme }]);
  t.throws(() => assertTenant(old, zeta), { code: 'TENANT_MISMATCH' });
  t.notThrows(() => assertTenant(kept, acme));
  t.is(contexts.of(acme), kept);
});

test('a timer of a month does not fire at once', async (t) => {
  let fired = false;
  using _timer = new SystemClock('boot').setTimeout(() => {
    fired = true;
  }, 2 ** 31);
  await sleep(5);
  t.false(fired);
});

test('a sleep ends at once when its signal aborts, with the reason', async (t) => {
  const stop = new AbortController();
  const reason = new Error('enough');
  const slept = sleep(1_000_000, stop.signal);
  stop.abort(reason);
  t.is(await t.throwsAsync(slept), reason);
  t.is(await t.throwsAsync(sleep(1, stop.signal)), reason);
});

test('a deadline says what took too long, and leaves no timer when it was met', async (t) => {
  const clock = new ManualClock();
  t.is(await withDeadline('x', 100, Promise.resolve(0), clock), 0);
  t.is(clock.pending, 0);
  const late = t.throwsAsync(withDeadline('reading the file', 100, new Promise(() => {}), clock), {
    code: 'DEADLINE',
    message: 'reading the file took longer than 100 ms',
  });
  clock.advance(100);
  await late;
});
