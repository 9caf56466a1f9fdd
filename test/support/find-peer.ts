import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';

/** Programs that tests talk to. Each can be named by an environment variable. */
const peers = {
  mosquitto: { variable: 'RISER_TEST_MOSQUITTO', extra: ['/usr/sbin/mosquitto'] },
  mosquitto_sub: { variable: 'RISER_TEST_MOSQUITTO_SUB', extra: [] },
  mosquitto_pub: { variable: 'RISER_TEST_MOSQUITTO_PUB', extra: [] },
  mosquitto_passwd: { variable: 'RISER_TEST_MOSQUITTO_PASSWD', extra: [] },
  mbpoll: { variable: 'RISER_TEST_MBPOLL', extra: [] },
  // The system's Python has the Debian packages (pymodbus); one of a version manager has not.
  python3: { variable: 'RISER_TEST_PYTHON3', first: '/usr/bin/python3', extra: [] },
  gcc: { variable: 'RISER_TEST_GCC', extra: [] },
  socat: { variable: 'RISER_TEST_SOCAT', extra: [] },
  openssl: { variable: 'RISER_TEST_OPENSSL', extra: [] },
} as const satisfies Record<string, Peer>;

interface Peer {
  readonly variable: string;
  /** Looked at before PATH. */
  readonly first?: string;
  /** Looked at after PATH. */
  readonly extra: readonly string[];
}

export type PeerName = keyof typeof peers;

/**
 * Path of a test peer: its environment variable, then PATH, then where Debian puts it. Undefined
 * when it is not installed – the test then says so in its name and is skipped.
 */
export function findPeer(name: PeerName): string | undefined {
  const peer: Peer = peers[name];
  const named = process.env[peer.variable];
  if (named !== undefined) return runnable(named) ? named : undefined;
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter((folder) => folder !== '');
  return [
    ...(peer.first === undefined ? [] : [peer.first]),
    ...folders.map((folder) => path.join(folder, name)),
    ...peer.extra,
    ...['/usr/sbin', '/usr/bin', '/usr/local/bin'].map((folder) => path.join(folder, name)),
  ].find(runnable);
}

function runnable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
