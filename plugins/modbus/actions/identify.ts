import type { ActionOutput } from '#driver';
import { type ActionScene, Conversation, type TargetArguments } from './conversation.ts';
import { objectNames, readIdentity } from './identity.ts';

/** Asks a device who it is. */
export async function* identify(
  scene: ActionScene,
  args: TargetArguments,
  signal: AbortSignal,
): AsyncGenerator<ActionOutput> {
  await using talk = Conversation.to(scene, args, signal);
  yield { kind: 'plan', text: `identity of ${talk.where}, 2 to 33 requests`, seconds: 3 };
  await talk.open();
  const { objects, oddities } = await readIdentity((pdu) => talk.ask(pdu));
  for (const [id, value] of [...objects].sort(([a], [b]) => a - b)) {
    yield { kind: 'row', row: { object: objectNames[id] ?? `object ${id}`, value } };
  }
  for (const text of oddities) yield { kind: 'note', level: 'warning', text: `odd: ${text}` };
  if (objects.size === 0) {
    const text = `${talk.where} answers, but says nothing about itself (FC43/14 and FC17)`;
    yield { kind: 'note', level: 'info', text };
  }
}
