import { statusText } from '../http/status-text.ts';
import type { GatewayStatus } from '../model/status.ts';
import type { Context } from './context.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';

/** `riser status`: the gateway at one look. */
export async function status(
  context: Context,
  options: { readonly all?: boolean },
): Promise<ExitCode> {
  const { out } = context;
  const client = await context.client(10_000);
  const current = await client.get<GatewayStatus>('/status');
  if (context.json) {
    await out.json('riser.status/1', current);
    return exitCodes.ok;
  }
  await out.write(
    statusText(current, {
      now: Date.now(),
      // 80 columns also on a wide terminal: the lines are made to be read, not to be filled.
      width: Math.min(out.width, 80),
      ...(options.all === true ? { maxConditions: Number.POSITIVE_INFINITY } : {}),
      paint: (style, text) => out.paint(style, text),
    }),
  );
  return exitCodes.ok;
}
