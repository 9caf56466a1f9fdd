/** What stands where a secret was. */
const mask = '***';
/** Shorter values would be found in every second line. */
const shortestSecret = 4;
const mostSecrets = 1_000;
/** Longer texts are cut before they are searched, so that a line costs a bounded time. */
const longestSearched = 16_384;
const deepest = 6;
const mostEntries = 50;

const sensitiveWords = new Set(
  'auth authorization bearer cookie credential credentials jwt key keys pass passcode passphrase passwd password passwords pin psk pwd secret secrets token tokens'.split(
    ' ',
  ),
);
const sensitivePart =
  /passw|passphrase|secret|token|credential|authoriz|cookie|api-?_?key|private-?_?key/i;

// Repetitions are bounded, because texts come from the LAN: no input makes these slow.
const urlUserInfo = /([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s"'<>]{0,512}@/gi;
const urlParameter =
  /([?&;][\w.-]{0,40}(?:passw|passphrase|secret|token|key|credential|auth|sig)[\w.-]{0,40}=)[^&\s#"'<>]{1,2048}/gi;
const assignment =
  /\b([\w.-]{0,40}(?:password|passwd|passphrase|secret|token|credential|api[_-]?key|cookie)s?["']?\s{0,4}[=:]\s{0,4}["']?)[^\s"',;&}\])]{1,2048}/gi;
const scheme = /\b(bearer|basic|digest)\s{1,4}[A-Za-z0-9+/_.~=-]{6,4096}/gi;
const pem =
  /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]{0,16384}?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g;

/** Whether a field of this name is never written out: `password`, `clientSecret`, `x-api-key`. */
export function isSensitiveName(name: string): boolean {
  if (sensitivePart.test(name)) return true;
  const words = name.replace(/([a-z0-9])([A-Z])/g, '$1 $2').split(/[^A-Za-z0-9]+/);
  return words.some((word) => sensitiveWords.has(word.toLowerCase()));
}

/**
 * Makes anything fit for a log line: secrets are masked by the name of their field at any depth, by
 * their shape in texts (URL user info, tokens, private keys) and, where they are known, by their
 * value wherever they stand. What comes out is a finite plain tree, whatever went in.
 */
export class Redactor {
  #secrets: readonly string[] = [];

  /** From now on this value is masked wherever it stands, also percent-encoded or as base64. */
  register(secret: string): void {
    const value = secret.trim();
    if (value.length < shortestSecret || this.#secrets.length >= mostSecrets * 3) return;
    const forms = [value, encodeURIComponent(value), Buffer.from(value).toString('base64')];
    // The longest first: a secret that contains another one is masked as a whole.
    this.#secrets = [...new Set([...this.#secrets, ...forms])].sort((a, b) => b.length - a.length);
  }

  /** A text without secrets, of at most so many characters. */
  text(text: string, maxLength = 2_048): string {
    let clean = text.length > longestSearched ? text.slice(0, longestSearched) : text;
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, mask);
    clean = clean
      .replace(pem, mask)
      .replace(urlUserInfo, `$1${mask}@`)
      .replace(urlParameter, `$1${mask}`)
      .replace(scheme, `$1 ${mask}`)
      .replace(assignment, `$1${mask}`);
    return clean.length > maxLength ? `${clean.slice(0, maxLength)}…` : clean;
  }

  /** A plain tree without secrets, made of what JSON knows. */
  value(value: unknown, maxLength = 2_048): unknown {
    return this.#clean(value, maxLength, []);
  }

  #clean(value: unknown, maxLength: number, above: readonly object[]): unknown {
    switch (typeof value) {
      case 'string':
        return this.text(value, maxLength);
      case 'number':
        return Number.isFinite(value) ? value : String(value);
      case 'boolean':
      case 'undefined':
        return value;
      case 'bigint':
        return String(value);
      case 'function':
      case 'symbol':
        return undefined;
      case 'object':
        return value === null ? null : this.#cleanObject(value, maxLength, above);
    }
  }

  #cleanObject(value: object, maxLength: number, above: readonly object[]): unknown {
    if (above.includes(value)) return '[circular]';
    if (above.length >= deepest) return '[deep]';
    const path = [...above, value];
    try {
      if (value instanceof Error) return this.#cleanError(value, maxLength, path);
      if (value instanceof Date) {
        return Number.isFinite(value.getTime()) ? value.toISOString() : 'invalid date';
      }
      if (value instanceof URL) return this.text(value.href, maxLength);
      if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
      if (value instanceof Map) return this.#cleanEntries([...value.entries()], maxLength, path);
      if (value instanceof Set) return this.#cleanList([...value], maxLength, path);
      if (Array.isArray(value)) return this.#cleanList(value, maxLength, path);
      return this.#cleanEntries(
        Object.keys(value).map((key) => [key, read(value, key)]),
        maxLength,
        path,
      );
    } catch {
      // A proxy or getter of foreign code. The line is worth more than this field.
      return '[unreadable]';
    }
  }

  #cleanList(list: readonly unknown[], maxLength: number, path: readonly object[]): unknown[] {
    const clean = list.slice(0, mostEntries).map((item, index) => {
      // rawHeaders of node: name, value, name, value.
      const name = index % 2 === 1 ? list[index - 1] : undefined;
      if (typeof name === 'string' && typeof item === 'string' && isHeaderName(name)) return mask;
      return this.#clean(item, maxLength, path);
    });
    if (list.length > mostEntries) clean.push(`[${list.length - mostEntries} more]`);
    return clean;
  }

  #cleanEntries(
    entries: readonly (readonly [unknown, unknown])[],
    maxLength: number,
    path: readonly object[],
  ): object {
    const clean = entries.slice(0, mostEntries).map(([key, value]): [string, unknown] => {
      const name = this.text(String(key), 100);
      return [name, this.#cleanField(String(key), value, maxLength, path)];
    });
    if (entries.length > mostEntries) clean.push(['more', entries.length - mostEntries]);
    // fromEntries defines own properties, "__proto__" included.
    return Object.fromEntries(clean);
  }

  #cleanField(name: string, value: unknown, maxLength: number, path: readonly object[]): unknown {
    const tells = value !== undefined && value !== null && typeof value !== 'boolean';
    return tells && isSensitiveName(name) ? mask : this.#clean(value, maxLength, path);
  }

  #cleanError(error: Error, maxLength: number, path: readonly object[]): object {
    const own = Object.keys(error)
      .filter((key) => !['name', 'message', 'stack', 'cause'].includes(key))
      .map((key): [string, unknown] => [key, read(error, key)]);
    return {
      type: this.text(String(error.name), 100),
      message: this.text(String(error.message), maxLength),
      ...this.#cleanEntries(own, maxLength, path),
      ...(error.cause === undefined ? {} : { cause: this.#clean(error.cause, maxLength, path) }),
      stack: this.text(String(error.stack ?? ''), maxLength),
    };
  }
}

function isHeaderName(name: string): boolean {
  return name.length < 60 && /^[\w-]+$/.test(name) && isSensitiveName(name);
}

function read(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return '[unreadable]';
  }
}
