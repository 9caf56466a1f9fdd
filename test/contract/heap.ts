import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/** Bytes of the heap of this thread that are really in use. */
export function heapAfterCollection(): number {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  // What only a finaliser frees is gone after the second one.
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
