import test from 'ava';
import { generate } from 'mqtt-packet';
import { PacketGuard } from '../../../src/uplink/packet-guard.ts';

const publish = (bytes: number) =>
  generate({
    cmd: 'publish',
    topic: 'a',
    payload: Buffer.alloc(bytes),
    qos: 0,
    retain: false,
    dup: false,
  });

test('packets up to the limit pass however they are cut, and the next one is still understood', (t) => {
  const stream = Buffer.concat([publish(0), publish(100), publish(900), publish(130), publish(5)]);
  for (let size = 1; size < 200; size += 7) {
    const guard = new PacketGuard(1_000);
    for (let at = 0; at < stream.length; at += size) {
      t.true(guard.pass(stream.subarray(at, at + size)));
    }
  }
});

test('a packet over the limit is refused with its header, before its body has come', (t) => {
  const guard = new PacketGuard(1_000);
  t.true(guard.pass(publish(100)));
  t.false(guard.pass(publish(2_000).subarray(0, 3)));
});

test('256 MB announced and a length that never ends are refused', (t) => {
  t.false(new PacketGuard(262_144).pass(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f])));
  t.false(new PacketGuard(2 ** 30).pass(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0xff])));
});
