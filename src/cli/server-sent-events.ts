/** An event that has come completely. */
export interface ServerSentEvent {
  readonly name: string;
  readonly data: string;
}

/** Characters of an unfinished event; the daemon sends at most 500 values in one. */
const maxPending = 4 * 1024 * 1024;

/** Cuts a stream of text into server-sent events; comments are skipped. Throws when one is longer than 4 Mi characters. */
export async function* serverSentEvents(
  chunks: AsyncIterable<string>,
): AsyncGenerator<ServerSentEvent> {
  let pending = '';
  for await (const chunk of chunks) {
    pending += chunk;
    for (let end = pending.indexOf('\n\n'); end !== -1; end = pending.indexOf('\n\n')) {
      const event = parse(pending.slice(0, end));
      pending = pending.slice(end + 2);
      if (event !== undefined) yield event;
    }
    if (pending.length > maxPending) throw new Error('the daemon sent an event without an end');
  }
}

function parse(text: string): ServerSentEvent | undefined {
  let name = 'message';
  const data: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('event: ')) name = line.slice(7);
    else if (line.startsWith('data: ')) data.push(line.slice(6));
  }
  return data.length === 0 ? undefined : { name, data: data.join('\n') };
}
