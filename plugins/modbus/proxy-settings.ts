import type { Json } from '#driver';

/** Where a link offers its devices to other programs. */
export interface ProxySettings {
  readonly host: string;
  readonly port: number;
  readonly maxClients: number;
}

/** Reads `proxy` of a link document that is valid against its schema; undefined if there is none. */
export function proxySettings(config: Json): ProxySettings | undefined {
  const proxy = objectOf(objectOf(config)?.proxy);
  if (proxy === undefined || typeof proxy.port !== 'number') return undefined;
  return {
    host: typeof proxy.host === 'string' ? proxy.host : '127.0.0.1',
    port: proxy.port,
    maxClients: typeof proxy.maxClients === 'number' ? proxy.maxClients : 4,
  };
}

function objectOf(
  source: Json | undefined,
): Readonly<Record<string, Json | undefined>> | undefined {
  return source !== null && typeof source === 'object' && !Array.isArray(source)
    ? (source as Readonly<Record<string, Json>>)
    : undefined;
}
