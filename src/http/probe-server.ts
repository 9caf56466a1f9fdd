import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Part } from '../kernel/part.ts';
import { withDeadline } from '../kernel/wait.ts';
import { GatewayError } from '../model/errors.ts';
import type { Notes } from '../model/notes.ts';
import type { Control } from '../model/status.ts';
import { statusText } from './status-text.ts';

/** A page of the internet that points its name at 127.0.0.1 still sends its own name. */
const allowedHosts = new Set(['localhost', '127.0.0.1', '[::1]']);

const maxConnections = 32;
const headersTimeoutMs = 5_000;
const requestTimeoutMs = 10_000;
const connectionsCheckMs = 1_000;
const idleMs = 30_000;
const metricsDeadlineMs = 5_000;

const securityHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const;

export interface ProbeServerOptions {
  /** Of 127.0.0.1; 0: any free port; -1: no server at all. */
  readonly port: number;
  readonly control: Pick<Control, 'live' | 'ready' | 'status'>;
  readonly metrics: () => Promise<string>;
  readonly notes: Pick<Notes, 'partFailed'>;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly type?: string;
}

type Probe = () => Answer | Promise<Answer>;

/**
 * Health and metrics for programs of this machine: no body is read, nothing can be changed, and
 * neither page nor network can reach it. Whether the cloud can be reached plays no part: a gateway
 * that is restarted for that only loses time.
 */
export class ProbeServer implements Part {
  readonly name = 'probes';
  readonly #options: ProbeServerOptions;
  readonly #probes: ReadonlyMap<string, Probe>;
  #server: Server | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: ProbeServerOptions) {
    this.#options = options;
    const { control, metrics } = options;
    const ready: Probe = () =>
      control.ready()
        ? { status: 200, text: 'ready\n' }
        : { status: 503, text: `not ready: ${control.status().mode}\n` };
    this.#probes = new Map<string, Probe>([
      [
        '/livez',
        () =>
          control.live() ? { status: 200, text: 'live\n' } : { status: 503, text: 'not live\n' },
      ],
      ['/readyz', ready],
      ['/healthz', ready],
      [
        '/metrics',
        async () => ({
          status: 200,
          text: await withDeadline('gathering the metrics', metricsDeadlineMs, metrics()),
          type: 'text/plain; version=0.0.4; charset=utf-8',
        }),
      ],
      [
        '/status.txt',
        () => ({ status: 200, text: statusText(control.status(), { now: Date.now() }) }),
      ],
    ]);
  }

  /** Port that it listens on; undefined when it is off or not started. */
  get port(): number | undefined {
    const address = this.#server?.address() as AddressInfo | null | undefined;
    return address?.port;
  }

  /** Rejects with PORT_IN_USE; the gateway can go on without it. */
  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { port, notes } = this.#options;
    if (port < 0) return;
    const server = createServer(
      {
        headersTimeout: headersTimeoutMs,
        requestTimeout: requestTimeoutMs,
        connectionsCheckingInterval: connectionsCheckMs,
        maxHeaderSize: 8 * 1024,
      },
      (request, response) => this.#serve(request, response),
    );
    server.maxConnections = maxConnections;
    server.timeout = idleMs;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) =>
        reject(
          new GatewayError(
            cause.code === 'EADDRINUSE' || cause.code === 'EACCES' ? 'PORT_IN_USE' : 'INTERNAL',
            `the port ${port} of 127.0.0.1 for probes and metrics cannot be opened: ${cause.code ?? cause.message}`,
            {
              cause,
              facts: { port },
              remedy: 'Stop the other program or choose another http.port.',
            },
          ),
        ),
      );
      server.listen({ host: '127.0.0.1', port }, resolve);
    });
    server.on('error', (error) => notes.partFailed({ part: this.name, error }));
    this.#server = server;
  }

  close(): Promise<void> {
    this.#closing ??= new Promise<void>((resolve) => {
      const server = this.#server;
      if (server === undefined) {
        resolve();
        return;
      }
      server.close(() => resolve());
      server.closeAllConnections();
    });
    return this.#closing;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const refusal = refusalOf(request);
    if (refusal !== undefined) {
      // Whatever else comes on this connection is not wanted.
      send(response, { status: refusal, text: '' }, true);
      response.once('finish', () => request.socket.destroySoon());
      return;
    }
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const probe = this.#probes.get(path);
    if (probe === undefined) {
      send(response, { status: 404, text: `${[...this.#probes.keys()].join('\n')}\n` });
      return;
    }
    this.#answer(probe, response);
  }

  #answer(probe: Probe, response: ServerResponse): void {
    const failed = (error: unknown) => {
      this.#options.notes.partFailed({ part: this.name, error });
      send(response, { status: 500, text: 'failed; see the log\n' });
    };
    // A probe may throw before it returns a promise.
    (async () => await probe())().then((answer) => send(response, answer), failed);
  }
}

/** Status with which a request is refused before anything else is looked at. */
function refusalOf(request: IncomingMessage): number | undefined {
  const { headers, method } = request;
  const host = (headers.host ?? '').toLowerCase().replace(/:\d{1,5}$/, '');
  if (!allowedHosts.has(host)) return 421;
  const site = headers['sec-fetch-site'];
  if (headers.origin !== undefined || (site !== undefined && site !== 'none')) return 403;
  if (method !== 'GET' && method !== 'HEAD') return 405;
  const length = headers['content-length'];
  if (headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')) {
    return 413;
  }
  return undefined;
}

function send(response: ServerResponse, answer: Answer, last = false): void {
  if (response.destroyed || response.headersSent) return;
  response.writeHead(answer.status, {
    ...securityHeaders,
    'content-type': answer.type ?? 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(answer.text),
    ...(answer.status === 405 ? { allow: 'GET, HEAD' } : {}),
    ...(last ? { connection: 'close' } : {}),
  });
  response.end(answer.text);
}
