/** An error of a command, or one that the daemon has told: with a stable code and what to do. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code: string;
  readonly remedy: string;
  /** What is wrong in detail, such as every key of a request. */
  readonly details: readonly string[];

  constructor(
    code: string,
    message: string,
    remedy: string,
    options: ErrorOptions & { readonly details?: readonly string[] } = {},
  ) {
    super(message, options);
    this.code = code;
    this.remedy = remedy;
    this.details = options.details ?? [];
  }
}

/** The person at the keyboard pressed Ctrl-C. */
export function interrupted(): CommandError {
  return new CommandError('INTERRUPTED', 'interrupted', '');
}
