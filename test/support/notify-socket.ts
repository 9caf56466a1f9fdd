import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';

/** Plays systemd's end: prints each message as one line of JSON, and closes what it is handed (a barrier). */
const receiver = `
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print(json.dumps("bound"), flush=True)
while True:
    data, control, _, _ = s.recvmsg(65536, 4096)
    for level, kind, fds in control:
        for i in range(0, len(fds) - 3, 4):
            os.close(int.from_bytes(fds[i:i+4], sys.byteorder))
    print(json.dumps(data.decode()), flush=True)
`;

export interface NotifySocket {
  readonly path: string;
  /** The next message that is no barrier. */
  next(): Promise<string>;
}

/** A socket on which a test hears what a service tells systemd. */
export async function openNotifySocket(t: ExecutionContext): Promise<NotifySocket> {
  const folder = mkdtempSync(path.join(tmpdir(), 'riser-notify-'));
  const socket = path.join(folder, 'notify');
  const child = spawn('/usr/bin/python3', ['-c', receiver, socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async () => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error('the socket was closed');
    return JSON.parse(value as string) as string;
  };
  await read();
  return {
    path: socket,
    async next() {
      for (;;) {
        const message = (await read()).trim();
        if (message !== 'BARRIER=1') return message;
      }
    },
  };
}
