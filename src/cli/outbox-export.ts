import { createHash } from 'node:crypto';
import { access, open, rename, rm } from 'node:fs/promises';
import { printable } from '../http/printable.ts';
import { bytesText, countText } from '../http/words.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';

export interface ExportOptions {
  readonly tenant?: string;
  readonly lane?: string;
  readonly yes?: boolean;
}

interface Exported {
  readonly events: number;
  readonly bytes: number;
}

/** `riser outbox export [FILE]`: every held envelope on a line of its own, to stdout or to a file. */
export async function outboxExport(
  context: Context,
  file: string | undefined,
  options: ExportOptions,
): Promise<ExitCode> {
  const { out } = context;
  const query = new URLSearchParams({
    ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
    ...(options.lane === undefined ? {} : { lane: options.lane }),
  });
  if (file !== undefined) await checkFree(file, options.yes === true);
  const client = await context.client(10_000);
  const stream = await client.stream(`/outbox/export?${query}`);
  if (file === undefined) {
    for await (const piece of stream) await out.write(piece);
    return exitCodes.ok;
  }

  const { sha256, ...exported } = await save(stream, file);
  if (context.json) await out.json('riser.outbox-export/1', { file, ...exported, sha256 });
  else {
    await out.line(
      `${printable(file)}: ${countText(exported.events)} envelopes, ${bytesText(exported.bytes)}, SHA-256 ${sha256}`,
    );
  }
  return exitCodes.ok;
}

async function checkFree(file: string, yes: boolean): Promise<void> {
  const exists = await access(file).then(
    () => true,
    () => false,
  );
  if (exists && !yes) {
    throw new CommandError(
      'NEEDS_YES',
      `${file} exists already`,
      'Choose another name, or add --yes to replace it.',
    );
  }
}

/** Writes beside the file and renames at the end: a half export never has its name. */
async function save(
  stream: AsyncIterable<string>,
  file: string,
): Promise<Exported & { readonly sha256: string }> {
  const part = `${file}.part-${process.pid}`;
  const hash = createHash('sha256');
  let events = 0;
  let bytes = 0;
  try {
    const handle = await open(part, 'wx', 0o600);
    try {
      for await (const piece of stream) {
        const chunk = Buffer.from(piece);
        hash.update(chunk);
        bytes += chunk.length;
        events += piece.split('\n').length - 1;
        await handle.writeFile(chunk);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  return { events, bytes, sha256: hash.digest('hex') };
}
