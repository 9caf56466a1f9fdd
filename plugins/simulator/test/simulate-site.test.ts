import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { RawClient, request } from './raw-client.ts';

const program = fileURLToPath(new URL('../../../tools/simulate-site.ts', import.meta.url));

interface Line {
  readonly port?: number;
  readonly unit?: number;
  readonly model?: string;
  readonly dead?: boolean;
  readonly listening?: boolean;
}

test('the program shows every endpoint, answers on each, and ends on SIGTERM', async (t) => {
  const { child, lines } = start(t, '--meters', '2', '--units', '4', '--dead', '1', '--json');
  const shown: Line[] = [];
  for await (const line of lines) {
    const one = JSON.parse(line) as Line;
    if (one.listening === true) break;
    shown.push(one);
  }
  t.deepEqual(
    shown.map(({ unit, model, dead }) => `${unit} ${model} ${dead}`),
    [
      '1 meter false',
      '1 meter false',
      '1 meter false',
      '2 pump false',
      '3 meter false',
      '4 pump true',
    ],
  );
  for (const { port, unit, model } of shown.filter(({ dead }) => dead === false)) {
    const client = await RawClient.open(port!);
    const answer = await client.ask(request(1, unit!, model === 'meter' ? 4 : 3, [0, 2]));
    t.is(answer.length, 13);
    client.close();
  }
  child.kill('SIGTERM');
  t.is(await exitCode(child), 0);
});

test('the program ends by itself after the time it was given', async (t) => {
  const { child } = start(t, '--meters', '1', '--for', '50ms');
  t.is(await exitCode(child), 0);
});

test('a wrong flag is named, and nothing runs', async (t) => {
  for (const [flags, words] of [
    [['--units', 'many'], /--units must be a whole number/],
    [['--units', '3', '--dead', '4'], /--dead must be a whole number from 0 to 3/],
    [['--model', 'kettle'], /model must be meter, pump, image or counter/],
    [['--for', 'ever'], /--for must be a time such as 20s/],
    [['--meters', '0'], /nothing to simulate/],
  ] as const) {
    const { child, errors } = start(t, ...flags);
    t.is(await exitCode(child), 1);
    t.regex(errors(), words);
  }
});

function start(t: ExecutionContext, ...flags: string[]) {
  const child = spawn(process.execPath, [program, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => void child.kill('SIGKILL'));
  let written = '';
  child.stderr.on('data', (chunk: Buffer) => {
    written += chunk.toString();
  });
  return { child, lines: createInterface(child.stdout), errors: () => written };
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close', { signal: AbortSignal.timeout(20_000) })) as [number];
  return code;
}
