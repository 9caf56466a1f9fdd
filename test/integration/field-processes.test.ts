import test from 'ava';
import { eventually, fakeDevice, fakeLink, startField } from '../support/field-bench.ts';

const isGood = (result: { readonly quality: string }) => result.quality === 'good';

test('a driver process polls by its plan, and what it reads is committed', async (t) => {
  const { field, sink } = startField(t);
  await field.apply(
    [fakeLink('l1', 'steady')],
    [fakeDevice('d1', 'l1'), fakeDevice('d2', 'l1', { pointAddress: () => ({ big: true }) })],
  );
  await eventually(t, 'forty good results', () => sink.results.filter(isGood).length >= 40);
  t.is(sink.of('d2').find(isGood)?.value, 2n ** 60n);
  t.is(field.drivers()[0]?.state, 'running');
  await eventually(t, 'the link is open', () => field.links()[0]?.state === 'open');
  t.deepEqual(
    field.devices().map(({ state }) => state),
    ['online', 'online'],
  );
});
