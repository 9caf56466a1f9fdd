import type { ActionOutput, Json } from '#driver';
import { ModbusError } from '../modbus-error.ts';
import { type ActionScene, argumentsOf } from './conversation.ts';
import { identify } from './identify.ts';
import { probe } from './probe.ts';
import { read } from './read.ts';
import { scan } from './scan.ts';
import { trace } from './trace.ts';

type Run = (
  scene: ActionScene,
  // Valid against the schema of the action.
  args: never,
  signal: AbortSignal,
) => AsyncGenerator<ActionOutput>;

const runs: Readonly<Record<string, Run>> = { scan, identify, read, trace, probe };

/** Runs an action of the manifest. The iteration rejects with a ModbusError. */
export function runAction(
  scene: ActionScene,
  name: string,
  args: Json,
  signal: AbortSignal,
): AsyncIterable<ActionOutput> {
  const run = Object.hasOwn(runs, name) ? runs[name] : undefined;
  if (run === undefined) throw new ModbusError('not-supported', `there is no action ${name}`);
  return run(scene, argumentsOf(args) as never, signal);
}
