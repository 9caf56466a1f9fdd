import { printable } from '../http/printable.ts';
import type { Context } from './context.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';

/** `riser ready`: whether the gateway collects and stores, as exit code; the upstream does not count. */
export async function ready(context: Context): Promise<ExitCode> {
  const { out } = context;
  const client = await context.client(5_000);
  const { status, body } = await client.answer('GET', '/ready');
  const { ready: isReady, mode } = body as { readonly ready?: boolean; readonly mode?: string };
  const yes = status === 200 && isReady === true;
  const words = printable(String(mode ?? `status ${status}`), 60);
  if (context.json) await out.json('riser.ready/1', { ready: yes, mode: words });
  else await out.line(yes ? 'ready' : `not ready: ${words}`);
  return yes ? exitCodes.ok : exitCodes.failed;
}
