import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import { EventBus } from '../../../src/kernel/event-bus.ts';

function open() {
  const failed: string[] = [];
  const bus = new EventBus({
    listenerFailed: ({ event, error }) => failed.push(`${event}: ${(error as Error).message}`),
  });
  return { bus, failed };
}

/** An async function fits the type of a listener; lint rules forbid it, plain JavaScript does not. */
const rejecting = (() => Promise.reject(new Error('second'))) as () => void;

test('a listener that throws neither stops the others nor the one who told', async (t) => {
  const { bus, failed } = open();
  const heard: string[] = [];
  bus.on('config-applied', () => {
    throw new Error('first');
  });
  bus.on('config-applied', rejecting);
  bus.on('config-applied', (revision) => heard.push(revision));

  bus.emit('config-applied', 'r1');
  bus.emit('config-applied', 'r2');
  await setImmediate();

  t.deepEqual(heard, ['r1', 'r2']);
  t.deepEqual(bus.failuresOf('config-applied'), [2, 2, 0]);
  t.deepEqual(failed.toSorted(), [
    'config-applied: first',
    'config-applied: first',
    'config-applied: second',
    'config-applied: second',
  ]);
});

test('listeners are told before emit returns', (t) => {
  const { bus } = open();
  let heard = 0;
  bus.on('config-applied', () => {
    heard += 1;
  });
  bus.emit('config-applied', 'r1');
  t.is(heard, 1);
});

test('a listener that leaves while an event is told does not take the place of another', (t) => {
  const { bus } = open();
  const heard: string[] = [];
  const leave = bus.on('config-applied', () => {
    heard.push('a');
    leave();
    leave();
  });
  bus.on('config-applied', () => heard.push('b'));

  bus.emit('config-applied', 'r1');
  bus.emit('config-applied', 'r2');
  t.deepEqual(heard, ['a', 'b', 'b']);
});
