import { unlink } from 'node:fs/promises';
import type { Socket } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Part } from '../kernel/part.ts';
import { GatewayError } from '../model/errors.ts';
import type { Notes } from '../model/notes.ts';
import type { Control } from '../model/status.ts';
import { controlRoutes } from './control-routes.ts';
import { faultProblem, problemOf, RequestFault, type RequestFaultCode } from './problem.ts';
import { coerceQuery } from './query.ts';
import type { Call, Route, RouteServices } from './route.ts';
import type { JsonSchema } from './schemas.ts';
import { checkSocketPath, claimSocketPath, restrictSocket, socketError } from './socket-file.ts';
import { parseStrictJson } from './strict-json.ts';
import { WatchHub } from './watch-hub.ts';

const bodyLimitBytes = 256 * 1024;
const maxHeaderBytes = 8 * 1024;
const maxConnections = 64;
const headersTimeoutMs = 5_000;
const requestTimeoutMs = 10_000;
/** Node looks for late requests only this often; its own 30 s would make the limits above meaningless. */
const connectionsCheckMs = 1_000;
const keepAliveMs = 5_000;
/** A connection on which nothing moves. Longer than the longest read, shorter than for ever. */
const idleMs = 60_000;

export interface ControlServerOptions {
  readonly socketPath: string;
  readonly control: Control;
  readonly metrics: () => Promise<string>;
  readonly notes: Pick<Notes, 'requestServed' | 'partFailed'>;
  readonly version: string;
}

/** The control API: HTTP on a Unix socket, for whoever may open the socket. */
export class ControlServer implements Part {
  readonly name = 'control';
  readonly #options: ControlServerOptions;
  readonly #hub: WatchHub;
  readonly #stop = new AbortController();
  #app: FastifyInstance | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#hub = new WatchHub(options.control);
  }

  /** Rejects with PORT_IN_USE when another daemon is running on the socket. */
  async start(signal: AbortSignal): Promise<void> {
    const { socketPath } = this.#options;
    signal.throwIfAborted();
    checkSocketPath(socketPath);
    await claimSocketPath(socketPath);
    const app = this.#build();
    try {
      await app.listen({ path: socketPath });
      await restrictSocket(socketPath);
      signal.throwIfAborted();
    } catch (error) {
      await app.close();
      if (signal.aborted) throw error;
      throw socketError(socketPath, error as NodeJS.ErrnoException);
    }
    app.server.on('error', (error) => this.#options.notes.partFailed({ part: this.name, error }));
    this.#app = app;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stop.abort(new GatewayError('CONTROL_UNREACHABLE', 'the gateway stops'));
    this.#hub.close();
    const app = this.#app;
    if (app === undefined) return;
    try {
      await app.close();
      await unlink(this.#options.socketPath).catch((error: NodeJS.ErrnoException) => {
        // libuv removes the file when it closes the socket.
        if (error.code !== 'ENOENT') throw error;
      });
    } catch (error) {
      this.#options.notes.partFailed({ part: this.name, error });
    }
  }

  #build(): FastifyInstance {
    const { control, metrics, version, notes } = this.#options;
    const app = fastify({
      logger: false,
      bodyLimit: bodyLimitBytes,
      exposeHeadRoutes: false,
      forceCloseConnections: true,
      connectionTimeout: idleMs,
      keepAliveTimeout: keepAliveMs,
      requestTimeout: requestTimeoutMs,
      routerOptions: { maxParamLength: 100 },
      http: {
        headersTimeout: headersTimeoutMs,
        connectionsCheckingInterval: connectionsCheckMs,
        maxHeaderSize: maxHeaderBytes,
      },
      // Fastify's own defaults take 1 for "1" and drop unknown keys without a word.
      ajv: { customOptions: { coerceTypes: false, removeAdditional: false, allErrors: true } },
      clientErrorHandler: answerBrokenRequest,
    });
    app.server.maxConnections = maxConnections;

    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      'application/json',
      { parseAs: 'string' },
      async (_request: FastifyRequest, body: string) =>
        // "riser config apply" and curl -X POST send nothing; that is an empty request.
        body.length === 0 ? {} : parseStrictJson(body),
    );
    // Nothing is dropped from an answer because a schema does not know it yet: the schemas are
    // checked against the answers by tests.
    app.setSerializerCompiler(() => (data) => JSON.stringify(data));

    app.addHook('onRequest', async (request, reply) => {
      reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
      if (request.raw.rawHeaders.some((name, index) => index % 2 === 0 && name === '__proto__')) {
        throw new RequestFault('REQUEST_INVALID', 'The header "__proto__" is not allowed.');
      }
    });
    app.addHook('preValidation', async (request) => {
      const querystring = request.routeOptions.schema?.querystring as JsonSchema | undefined;
      if (querystring !== undefined)
        coerceQuery(request.query as Record<string, unknown>, querystring);
    });
    app.addHook('onResponse', async (request, reply) => {
      notes.requestServed({
        method: request.method,
        route: request.routeOptions.url ?? 'unknown',
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
      });
    });
    app.setNotFoundHandler((request, reply) => {
      const what = `${request.method} ${request.url.slice(0, 200)}`;
      return sendProblem(reply, new RequestFault('ROUTE_UNKNOWN', `There is no ${what}.`));
    });
    app.setErrorHandler((error, _request, reply) => {
      const status = sendProblem(reply, error).statusCode;
      if (status === 500) notes.partFailed({ part: this.name, error });
    });

    const services = { control, hub: this.#hub, metrics, version };
    for (const route of controlRoutes) this.#addRoute(app, route, services);
    return app;
  }

  #addRoute(app: FastifyInstance, route: Route, services: RouteServices): void {
    app.route({
      method: route.method,
      url: `/api/v1${route.path}`,
      schema: {
        // A route without parameters refuses all.
        querystring: route.query ?? { type: 'object', additionalProperties: false, properties: {} },
        ...(route.body === undefined ? {} : { body: route.body }),
      },
      // POST without a body and without a content type does not reach the parser.
      preValidation: async (request) => {
        if (route.body !== undefined && request.body === undefined) request.body = {};
      },
      handler: async (request: FastifyRequest, reply: FastifyReply) => {
        const left = new AbortController();
        reply.raw.once('close', () => left.abort(new Error('the client left')));
        const call: Call = {
          ...services,
          query: request.query as Call['query'],
          body: (request.body ?? {}) as Call['body'],
          reply,
          signal: AbortSignal.any([left.signal, this.#stop.signal]),
        };
        return await route.handle(call);
      },
    });
  }
}

function sendProblem(reply: FastifyReply, thrown: unknown): FastifyReply {
  const problem = problemOf(thrown);
  // What is left of a body that was refused is not read.
  if (problem.status === 413) reply.header('connection', 'close');
  return reply
    .code(problem.status)
    .type('application/problem+json; charset=utf-8')
    .send(JSON.stringify(problem));
}

const faultOfParser: Readonly<Record<string, RequestFaultCode>> = {
  HPE_HEADER_OVERFLOW: 'HEADER_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TOO_SLOW',
};

/** Bytes that are no HTTP, or came too slowly: no route is known for them. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const problem = faultProblem(
    faultOfParser[error.code ?? ''] ?? 'REQUEST_INVALID',
    'The request could not be read.',
  );
  if (socket.writable) {
    const body = JSON.stringify(problem);
    socket.write(
      `HTTP/1.1 ${problem.status} ${problem.title}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  }
  socket.destroySoon();
}
