import { chmod, lstat, stat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { GatewayError } from '../model/errors.ts';

/** sun_path of Linux has 108 bytes, one of them the ending zero. */
export const maxSocketPathBytes = 107;

/** Owner and group may connect: on Linux that takes write permission. */
const socketMode = 0o660;

const probeMs = 1_000;

/** Rejects with CONFIG_INVALID when a path is too long for a Unix socket; Node would cut it silently or fail with EINVAL. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > maxSocketPathBytes) {
    throw new GatewayError(
      'CONFIG_INVALID',
      `the path of the control socket has ${bytes} bytes, Linux takes at most ${maxSocketPathBytes}: ${path}`,
      { remedy: 'Choose a shorter folder for paths.runtime.', facts: { bytes } },
    );
  }
}

/**
 * Makes room for a socket: removes the file that a killed daemon left behind. Rejects with
 * PORT_IN_USE when a living daemon answers there or when something else than a socket is in the way.
 */
export async function claimSocketPath(path: string): Promise<void> {
  // libuv says "permission denied" when the folder is missing.
  await stat(dirname(path)).catch((error: NodeJS.ErrnoException) => {
    throw socketError(path, error);
  });
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw socketError(path, error);
  });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new GatewayError('PORT_IN_USE', `${path} exists and is not a socket`, {
      remedy: 'Move that file away, or choose another folder for paths.runtime.',
    });
  }
  if (await answers(path)) {
    throw new GatewayError('PORT_IN_USE', `another riser daemon is running on ${path}`, {
      remedy:
        'Stop it ("systemctl stop riser"), or give this one another socket (--socket) and state folder.',
    });
  }
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw socketError(path, error);
  });
}

/** Whether a process listens; only a refused connection proves that none does. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    const timer = setTimeout(() => {
      socket.destroy();
      // Its backlog is full: it is hung or very busy, but there.
      resolve(true);
    }, probeMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else if (error.code === 'EAGAIN') resolve(true);
      else reject(socketError(path, error));
    });
  });
}

/** Lets owner and group connect, and nobody else. */
export async function restrictSocket(path: string): Promise<void> {
  await chmod(path, socketMode);
}

/** An error of the file system or of listening, with what to do. */
export function socketError(path: string, cause: NodeJS.ErrnoException): GatewayError {
  if (cause.code === 'EADDRINUSE') {
    return new GatewayError('PORT_IN_USE', `${path} is in use by another program`, { cause });
  }
  const why =
    cause.code === 'EACCES' || cause.code === 'EPERM'
      ? 'permission denied'
      : cause.code === 'ENOENT'
        ? 'its folder does not exist'
        : cause.message;
  return new GatewayError(
    cause.code === 'EACCES' || cause.code === 'EPERM' ? 'CONTROL_FORBIDDEN' : 'CONTROL_UNREACHABLE',
    `the control socket ${path} cannot be opened: ${why}`,
    { cause, remedy: 'Check that its folder exists and belongs to the user of the daemon.' },
  );
}
