import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { type ErrorCode, remedies } from '../model/errors.ts';
import { CommandError, interrupted } from './command-error.ts';

/** Where the daemon listens unless told otherwise. */
export const defaultSocket = '/run/riser/control.sock';

/** A daemon that sends more than this in one answer is not ours. */
const maxAnswerBytes = 128 * 1024 * 1024;

export interface ControlClientOptions {
  readonly socketPath: string;
  readonly timeoutMs: number;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
}

/** An answer, whatever its status. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Speaks with the daemon on its Unix socket. Every call ends: with an answer, an error or its deadline. */
export class ControlClient {
  readonly #options: ControlClientOptions;

  constructor(options: ControlClientOptions) {
    this.#options = options;
  }

  get socketPath(): string {
    return this.#options.socketPath;
  }

  /** Rejects with a CommandError for every status but 200. */
  async get<Body>(path: string): Promise<Body> {
    return checked(await this.answer('GET', path)) as Body;
  }

  async post<Body>(path: string, body: object): Promise<Body> {
    return checked(await this.answer('POST', path, body)) as Body;
  }

  /** The answer with its status; rejects only when there is none. */
  async answer(method: 'GET' | 'POST', path: string, body?: object): Promise<Answer> {
    const deadline = AbortSignal.timeout(this.#options.timeoutMs);
    const response = await this.#open(method, path, body, deadline);
    try {
      const text = await textOf(response);
      return { status: response.statusCode ?? 0, body: JSON.parse(text) as unknown };
    } catch (cause) {
      throw this.#explain(cause, deadline);
    }
  }

  /** An answer piece by piece: resolves when it begins, for which alone the deadline is. */
  async stream(path: string, body?: object): Promise<AsyncIterable<string>> {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), this.#options.timeoutMs);
    const method = body === undefined ? 'GET' : 'POST';
    const response = await this.#open(method, path, body, deadline.signal).finally(() =>
      clearTimeout(timer),
    );
    if (response.statusCode !== 200) {
      checked({ status: response.statusCode ?? 0, body: JSON.parse(await textOf(response)) });
    }
    return this.#pieces(response, deadline.signal);
  }

  async *#pieces(response: IncomingMessage, deadline: AbortSignal): AsyncGenerator<string> {
    response.setEncoding('utf8');
    try {
      for await (const chunk of response) yield String(chunk);
    } catch (cause) {
      throw this.#explain(cause, deadline);
    } finally {
      response.destroy();
    }
  }

  #open(
    method: string,
    path: string,
    body: object | undefined,
    deadline: AbortSignal,
  ): Promise<IncomingMessage> {
    const { socketPath, signal } = this.#options;
    const text = body === undefined ? '' : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown) => reject(this.#explain(cause, deadline));
      let outgoing: ClientRequest;
      try {
        outgoing = request({
          socketPath,
          method,
          path: `/api/v1${path}`,
          agent: false,
          signal: AbortSignal.any([signal, deadline]),
          headers: {
            host: 'localhost',
            ...(body === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          },
        });
      } catch (cause) {
        fail(cause);
        return;
      }
      outgoing.once('error', fail);
      outgoing.once('response', resolve);
      outgoing.end(text);
    });
  }

  /** Turns what went wrong below HTTP into what a technician can act on. */
  #explain(cause: unknown, deadline: AbortSignal): CommandError {
    const { socketPath, timeoutMs, signal } = this.#options;
    if (cause instanceof CommandError) return cause;
    if (signal.aborted) return interrupted();
    if (deadline.aborted) {
      return failure('DEADLINE', `the daemon did not answer within ${timeoutMs / 1000} s`, cause);
    }
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') {
      return failure('CONTROL_FORBIDDEN', `you may not use the socket ${socketPath}`, cause);
    }
    const why =
      code === 'ENOENT'
        ? 'there is no such socket'
        : code === 'ECONNREFUSED'
          ? 'nothing listens there'
          : code === 'ECONNRESET' || code === 'EPIPE'
            ? 'it closed the connection; it is stopping, or has too many clients'
            : String((cause as Error).message);
    return failure(
      'CONTROL_UNREACHABLE',
      `the daemon cannot be reached on ${socketPath}: ${why}`,
      cause,
    );
  }
}

function failure(code: ErrorCode, message: string, cause: unknown): CommandError {
  return new CommandError(code, message, remedies[code], { cause });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) {
      response.destroy();
      throw new CommandError('INTERNAL', 'the answer of the daemon is too long', remedies.INTERNAL);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

interface ProblemBody {
  readonly code?: string;
  readonly detail?: string;
  readonly remedy?: string;
  readonly errors?: readonly { readonly detail: string }[];
}

/** The body of an answer with status 200; throws the problem of any other. */
function checked({ status, body }: Answer): unknown {
  if (status === 200) return body;
  const { code, detail, remedy, errors } = (body ?? {}) as ProblemBody;
  throw new CommandError(
    code ?? 'INTERNAL',
    detail ?? `the daemon answered with status ${status}`,
    remedy ?? remedies.INTERNAL,
    // With one error it is the detail already.
    errors === undefined || errors.length < 2 ? {} : { details: errors.map((each) => each.detail) },
  );
}
