import type { ActionOutput } from '#driver';
import { ModbusError } from '../modbus-error.ts';
import type { ActionScene } from './conversation.ts';

export interface TraceArguments {
  readonly target?: string;
  readonly unit?: number;
  readonly last?: number;
}

/** Shows the last exchanges of a configured link. Sends nothing. */
export async function* trace(
  scene: ActionScene,
  args: TraceArguments,
): AsyncGenerator<ActionOutput> {
  const exchanges = scene.trace?.list();
  if (exchanges === undefined) {
    throw new ModbusError(
      'bad-address',
      'name a configured device, or a link with --link: the gateway remembers what its own links sent',
    );
  }
  const device = args.target === undefined ? undefined : scene.device(args.target);
  const unit = args.unit ?? device?.unit;
  const wanted = exchanges.filter((each) => unit === undefined || each.unit === unit);
  const now = scene.host.monotonic();
  for (const { at, unit, request, answer, ms, verdict } of wanted.slice(-(args.last ?? 200))) {
    const row = {
      age: Math.round((now - at) / 100) / 10,
      unit,
      ms: Math.round(ms * 10) / 10,
      verdict,
      request: request.toString('hex'),
      answer: answer?.toString('hex') ?? null,
    };
    yield { kind: 'row', row };
  }
}
