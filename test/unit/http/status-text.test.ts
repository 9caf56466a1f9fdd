import test from 'ava';
import { printable } from '../../../src/http/printable.ts';
import { statusText } from '../../../src/http/status-text.ts';
import { columns, wrap } from '../../../src/http/text-block.ts';
import { ageText, bytesText, countText, momentText, ordinal } from '../../../src/http/words.ts';
import { condition, fakeStatus } from '../../support/control-fake.ts';

const widest = (text: string) => Math.max(...text.split('\n').map(columns));

test('a status says in one screen how the gateway is', (t) => {
  const text = statusText(fakeStatus(), { now: Date.now() });
  t.is(
    text.replaceAll(/since \d\d:\d\d/g, 'since 09:41'),
    `riser 1.0.0  gw-7f3a  "HQ North"  up 12 d 4 h
Collecting   2 of 3 devices   4 912 of 5 020 points fresh   4 900 good
Links        2 of 2 open   busiest plant-room 62 %
Upstream     connected to mqtts://in.example:8883 for 3 d 2 h, last ack 2 s ago
Outbox       12 waiting (oldest 3 s)   1 dead   1.2 % of 2 GiB
Drivers      fieldbus ok
             telemetry-x backoff (3rd restart): it used more memory than its
             limit of 128 MB
Modules      summary running
Needs attention (2)
 ! ahu-03: A device does not answer (1 h 12 min, since 09:41)
   No answer from unit 14 for 5 requests.
   → Check power and cabling of the device, then its unit id.
 ! acme-de: The cloud refused events for good (26 min, since 09:41)
   One event was refused with reason 0x99.
   → See "riser outbox status"; report the reason to the operator of the cloud.
`,
  );
});

test('no line is wider than 80 columns, whatever the names are', (t) => {
  const status = fakeStatus();
  const long = 'x'.repeat(400);
  const text = statusText(
    {
      ...status,
      title: '東京'.repeat(60),
      mode: 'degraded',
      links: status.links.map((link) => ({ ...link, link: `${long}` as never })),
      uplinks: [
        {
          ...status.uplinks[0]!,
          url: `mqtts://${long}`,
          state: 'waiting',
          detail: `${long} ${long}`,
        },
        { ...status.uplinks[0]!, tenant: 'b' as never },
      ],
      drivers: [{ plugin: long, state: 'failed', restarts: 112, detail: long }],
      modules: [{ name: long, state: long, detail: long }],
      conditions: [condition('config-invalid', long, `${long} ${'名前'.repeat(100)}`, -5_000)],
      clockSynced: false,
    },
    { now: Date.now() },
  );
  t.true(widest(text) <= 80, text);
  t.regex(text, /Clock +not synchronised/);
});

test('what is most urgent comes first, and what is too much is counted', (t) => {
  const status = fakeStatus();
  const conditions = [
    condition('clock-unsynced', '', 'a', 9_000),
    ...Array.from({ length: 130 }, (_, i) => condition('device-offline', `d${i}`, 'b', 1_000)),
  ];
  const text = statusText({ ...status, conditions }, { now: Date.now() });
  t.regex(text, /Needs attention \(131\)\n ! d0: /);
  t.true(text.endsWith('   … and 121 more: riser status --all\n'));
  t.true(text.split('\n').length < 45);
});

test('a gateway with nothing in it is described without dividing by zero', (t) => {
  const status = fakeStatus();
  const text = statusText(
    {
      ...status,
      title: '',
      devices: [],
      links: [],
      drivers: [],
      uplinks: [],
      modules: [],
      conditions: [],
      outbox: { ...status.outbox, pending: 0, maxBytes: 0, lost: 3 },
    },
    { now: Date.now() },
  );
  t.regex(text, /Collecting {3}no device is configured/);
  t.regex(text, /Upstream {5}off; readings are kept here/);
  t.regex(text, /3 lost {3}0 % of 0 B/);
  t.true(text.endsWith('Nothing needs attention.\n'));
});

test('a hostile name changes neither cursor, colour nor reading direction', (t) => {
  const hostile = 'a\u001b[2Jb\r\nc\u009bd\u202ee\u200f\u0000f\u2028g\ud800h';
  t.is(printable(hostile), 'a [2Jb c d e f g h');
  const status = fakeStatus();
  const text = statusText(
    { ...status, conditions: [condition('device-offline', hostile, hostile, 0)] },
    { now: Date.now() },
  );
  t.notRegex(text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Cs}]/u);
  t.is([...printable('é'.repeat(1_000_000), 50)].length, 50);
});

test('words are wrapped at their width, and a word that is too long is broken', (t) => {
  t.deepEqual(wrap('aa bb cccccccc d', 5), ['aa bb', 'ccccc', 'ccc d']);
  t.deepEqual(wrap('温度計測', 4), ['温度', '計測']);
  t.deepEqual(wrap('', 5), []);
});

test('times, counts and sizes are told in words', (t) => {
  t.deepEqual(
    [-5, 0, 59_999, 60_000, 3_600_000, 4_320_000, 86_400_000, 1_051_200_000].map(ageText),
    ['0 s', '0 s', '59 s', '1 min', '1 h', '1 h 12 min', '1 d', '12 d 4 h'],
  );
  t.deepEqual([0, 999, 4_912, 5_120_377].map(countText), ['0', '999', '4 912', '5 120 377']);
  t.deepEqual([0, 1_023, 1_024, 1_300_000, 2 ** 31].map(bytesText), [
    '0 B',
    '1023 B',
    '1 KiB',
    '1.2 MiB',
    '2 GiB',
  ]);
  t.deepEqual([1, 2, 3, 4, 11, 12, 21, 112].map(ordinal), [
    '1st',
    '2nd',
    '3rd',
    '4th',
    '11th',
    '12th',
    '21st',
    '112th',
  ]);
  const noon = new Date(2026, 10, 20, 12, 5).getTime();
  t.is(momentText(noon, noon + 3_600_000), '12:05');
  t.is(momentText(noon, noon + 90_000_000), '2026-11-20 12:05');
});
