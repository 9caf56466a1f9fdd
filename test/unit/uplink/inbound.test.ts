import test from 'ava';
import { Inbound } from '../../../src/uplink/inbound.ts';
import { readTopic, topicsOf } from '../../../src/uplink/topics.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { countingNotes } from '../../support/silent-notes.ts';
import { acme, gateway } from '../../support/uplink-under-test.ts';

const root = 'riser/1/acme/gw-test';

function inbound() {
  const clock = new ManualClock();
  const { notes, calls } = countingNotes();
  const answers: string[] = [];
  const acks: unknown[] = [];
  const made = new Inbound({
    gateway,
    tenant: acme,
    clock,
    notes,
    onWatermark: (...ack) => acks.push(ack),
    onNack: (...nack) => acks.push(nack),
    onAnswer: (id) => answers.push(id),
  });
  const command = (id: string, size = 0) =>
    made.take(`${root}/cmd/x`, Buffer.from(JSON.stringify({ id, pad: 'x'.repeat(size) })), false);
  return { made, clock, calls, answers, acks, command };
}

test('a flood of commands is answered ten times a second and noted no more often', (t) => {
  const { made, clock, calls, answers, command } = inbound();
  for (let id = 0; id < 500; id += 1) command(`a-${id}`);
  t.is(answers.length, 10);
  t.true((calls.get('commandRefused')?.length ?? 0) <= 10);
  t.is(made.unanswered, 490);
  clock.advance(1_000);
  command('later');
  t.is(answers.length, 11);
});

test('a command without a usable id, or larger than allowed, gets no answer', (t) => {
  const { answers, command } = inbound();
  for (const id of ['', '../state', 'a/b', '#', '+', 'x'.repeat(65), 'a b']) command(id);
  command('large', 20_000);
  t.deepEqual(answers, []);
});

test('acks are heard on the topics of this tenant and gateway only', (t) => {
  const { made, acks } = inbound();
  const payload = Buffer.from('{"epoch":"e","seq":7,"reason":"no"}');
  for (const topic of [
    'riser/1/acme/gw-test2/live/ack',
    'riser/1/acm/gw-test/live/ack',
    `${root}/fast/ack`,
    `${root}/live/ack/more`,
    `${root}/live`,
    `x${root}/live/ack`,
  ]) {
    made.take(topic, payload, false);
  }
  t.deepEqual(acks, []);
  t.is(made.malformed, 6);
  made.take(`${root}/live/ack`, payload, true);
  made.take(`${root}/bulk/nack`, payload, false);
  t.deepEqual(acks, [
    ['live', 'e', 7],
    ['bulk', 'e', 7, 'no'],
  ]);
});

test('each filter that is subscribed to is understood, and no topic fits two of them', (t) => {
  const { filters } = topicsOf(gateway, acme);
  t.is(new Set(filters).size, filters.length);
  t.is(filters.filter((filter) => /[+#]/.test(filter)).length, 1);
  for (const filter of filters) {
    t.truthy(readTopic(gateway, acme, filter.replace('#', 'replay')), filter);
  }
});
