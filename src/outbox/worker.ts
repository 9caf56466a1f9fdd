import { parentPort, workerData } from 'node:worker_threads';
import { breaksHandle, storageError } from '../sqlite/storage-error.ts';
import { factsOf, LogServer } from './log-server.ts';
import type { LogOptions, Op, Requests, WorkerReply, WorkerRequest } from './worker-messages.ts';

if (parentPort === null) throw new Error('this file runs in a worker thread');
const port = parentPort;
const options = workerData as LogOptions;
const server = new LogServer(options);

port.on('message', ({ id, op, body }: WorkerRequest) => {
  try {
    const result = server.serve(op, body as Requests[Op]['request']);
    const reply: WorkerReply = { id, ok: true, result };
    port.postMessage(reply, op === 'read' ? [(result as Requests['read']['result']).bodies] : []);
  } catch (thrown) {
    // What reached the disk is unknown now: an fsync must not be tried again on the same handle.
    const broken = breaksHandle(thrown);
    if (broken) server.abandon(thrown);
    const error = factsOf(storageError(options.path, thrown));
    port.postMessage({ id, ok: false, error, broken } satisfies WorkerReply);
  }
  if (op === 'close') port.close();
});
