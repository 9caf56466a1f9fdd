import { createServer } from 'node:net';
import { answerLine } from './device.ts';

// node test/start-device.ts [PORT] – a device on 127.0.0.1 to try the driver on; prints its port.
const server = createServer((socket) => {
  let rest = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = (lines.pop() ?? '').slice(0, 256);
    for (const line of lines) socket.write(answerLine(line));
  });
});
server.listen(Number(process.argv[2] ?? 7_070), '127.0.0.1', () => {
  const bound = server.address();
  if (bound !== null && typeof bound === 'object') process.stdout.write(`${bound.port}\n`);
});
