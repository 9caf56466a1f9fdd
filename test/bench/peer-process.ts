import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { BenchScope } from './bench-scope.ts';

const answerLimitMs = 20_000;

/** A program that is asked by lines on its standard input and answers with lines. */
export class PeerProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #errors = '';

  /** It is ended when the scope closes. */
  constructor(scope: BenchScope, program: string, args: readonly string[]) {
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    stderr.on('data', (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-4_000);
    });
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    scope.teardown(() => this.end());
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Its next line. Rejects with what it wrote to standard error. */
  async line(): Promise<string> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new Error(`no line in ${answerLimitMs} ms: ${this.#errors}`)),
      answerLimitMs,
    );
    try {
      const { value, done } = await Promise.race([this.#lines.next(), late.promise]);
      if (done === true) throw new Error(`it has ended: ${this.#errors}`);
      return value;
    } finally {
      clearTimeout(timer);
    }
  }

  async ask(line: string): Promise<string> {
    this.#child.stdin?.write(`${line}\n`);
    return await this.line();
  }

  tell(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Ends it; may be called twice. */
  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill(signal);
    await gone;
  }
}
