import { createServer } from 'node:net';

/**
 * A TCP port of 127.0.0.1 that nothing listens on at this moment.
 *
 * Two tests asking at the same time get different ports, because the kernel does not hand out an
 * ephemeral port twice in a row.
 */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was assigned');
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return address.port;
}
