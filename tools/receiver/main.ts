import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { DurableFiles } from './durable-files.ts';
import { MqttReceiver } from './mqtt-receiver.ts';

const usage = `Receives the events of gateways, stores them once each and acknowledges them.

  node tools/receiver/main.ts --url mqtt://HOST:1883 [--tenant TENANT]

  --append FILE      write each event as a line of FILE
  --state FILE       remember what was stored over restarts; with --append nothing is written twice
  --ack cloud|none   publish watermarks (default) or not
  --client-id ID     let the broker keep what comes while this program is away
  --username NAME, --password-file FILE, --ca FILE
  --print            print each event
  --json             print the counters as JSON instead of a line of words
`;

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    tenant: { type: 'string' },
    append: { type: 'string' },
    state: { type: 'string' },
    ack: { type: 'string', default: 'cloud' },
    'client-id': { type: 'string' },
    username: { type: 'string' },
    'password-file': { type: 'string' },
    ca: { type: 'string' },
    print: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const say = (text: string) => process.stdout.write(`${text}\n`);

if (values.help || values.url === undefined || (values.ack !== 'cloud' && values.ack !== 'none')) {
  say(usage);
  process.exit(values.help ? 0 : 2);
}

const files = DurableFiles.open(values.append, values.state);
const receiver = new MqttReceiver({
  url: values.url,
  ack: values.ack,
  ...(values.tenant === undefined ? {} : { tenant: values.tenant }),
  ...(files.state === undefined ? {} : { state: files.state }),
  store: (_event, _fresh, text) => {
    files.append(text);
    if (values.print) say(text);
  },
  save: (state) => files.save(state),
  connection: {
    ...(values['client-id'] === undefined ? {} : { clientId: values['client-id'] }),
    ...(values.username === undefined ? {} : { username: values.username }),
    ...(values['password-file'] === undefined
      ? {}
      : { password: readFileSync(values['password-file'], 'utf8').trim() }),
    ...(values.ca === undefined ? {} : { ca: readFileSync(values.ca) }),
  },
  onProblem: (message) => process.stderr.write(`${message}\n`),
});

function report(): void {
  const counters = receiver.receiver.counters();
  if (values.json) {
    say(JSON.stringify({ ...counters, watermarks: receiver.receiver.watermarks() }));
    return;
  }
  const { received, duplicates, lost, gone, outOfOrder, gaps, invalid } = counters;
  say(
    `${received} received, ${duplicates} duplicates, ${lost} given up, ${gone} gone, ${outOfOrder} late, ${gaps} gaps, ${invalid} invalid`,
  );
}

let stopping = false;
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  await receiver.close();
  report();
  files.close();
  process.exit(0);
}
process.on('SIGTERM', () => void stop());
process.on('SIGINT', () => void stop());

await receiver.start();
say(values.json ? '{"ready":true}' : `listening on ${values.url}`);
if (!values.print) setInterval(report, 5_000).unref();
