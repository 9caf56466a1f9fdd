import { readFile, writeFile } from 'node:fs/promises';
import test from 'ava';
import { CommandError } from '../../../src/cli/command-error.ts';
import { commandReference } from '../../../src/cli/command-reference.ts';
import { type ExitCode, exitCodeOf } from '../../../src/cli/exit-codes.ts';
import { Output } from '../../../src/cli/output.ts';
import { buildProgram } from '../../../src/cli/program.ts';
import { serverSentEvents } from '../../../src/cli/server-sent-events.ts';
import { table } from '../../../src/cli/table.ts';
import { type ErrorCode, GatewayError } from '../../../src/model/errors.ts';

async function listOf<Item>(items: AsyncIterable<Item>): Promise<readonly Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

test('docs/reference/cli.md is what the commands say', async (t) => {
  const file = new URL('../../../docs/reference/cli.md', import.meta.url);
  const program = buildProgram(new Output(process, {}), {});
  await program.addActions();
  const expected = commandReference(program.command);
  if (process.env.RISER_UPDATE === '1') await writeFile(file, expected);
  t.is(
    await readFile(file, 'utf8'),
    expected,
    'RISER_UPDATE=1 npx ava test/unit/cli/command-reference.test.ts writes it anew',
  );
});

test('an error has the same exit code whether it was thrown here or told by the daemon', (t) => {
  const codes: readonly (readonly [ErrorCode, ExitCode])[] = [
    ['CONTROL_UNREACHABLE', 3],
    ['CONFIG_INVALID', 4],
    ['CONTROL_FORBIDDEN', 6],
    ['DEADLINE', 7],
    ['DEVICE_UNKNOWN', 9],
    ['READ_FAILED', 1],
    ['INTERNAL', 1],
  ];
  for (const [code, exit] of codes) {
    t.is(exitCodeOf(new GatewayError(code, 'x')), exit, code);
    t.is(exitCodeOf(new CommandError(code, 'x', 'y')), exit, code);
  }
  t.is(exitCodeOf('thrown text'), 1);
  t.is(exitCodeOf(undefined), 1);
});

test('server-sent events are found wherever the stream is cut', async (t) => {
  const text =
    ': watching\n\nevent: values\ndata: {"values":[1]}\n\n: ping\n\ndata: a\ndata: b\n\n';
  for (let size = 1; size <= text.length; size += 1) {
    const pieces = async function* () {
      for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
    };
    t.deepEqual(await listOf(serverSentEvents(pieces())), [
      { name: 'values', data: '{"values":[1]}' },
      { name: 'message', data: 'a\nb' },
    ]);
  }
});

test('an event without an end does not fill the memory', async (t) => {
  const endless = async function* () {
    for (;;) yield 'x'.repeat(100_000);
  };
  await t.throwsAsync(listOf(serverSentEvents(endless())), { message: /without an end/ });
});

test('a table is as wide as its widest cell, up to the limit of its column', (t) => {
  t.deepEqual(
    table(
      [{ title: 'A', max: 4 }, { title: 'N', align: 'right' }, { title: 'B' }],
      [
        ['abcdefgh', '1', ''],
        ['温度', '1000', 'x'],
      ],
    ),
    ['A        N  B', 'abc…     1', '温度  1000  x'],
  );
});
