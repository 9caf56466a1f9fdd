import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { GatewayError } from '../model/errors.ts';
import type { SecretRef } from '../model/site.ts';
import { codeOf, reasonOf } from './read-sources.ts';

/** Where references to secrets lead. */
export interface SecretSources {
  /** $CREDENTIALS_DIRECTORY of systemd, or a folder in its place. */
  readonly credentialsDirectory?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Longest secret, in bytes: a private key with its chain fits. */
const secretLimit = 64 * 1024;

/**
 * Reads the secret that a reference leads to, without the newline that editors put at its end.
 * Rejects SECRET_UNRESOLVED when it leads nowhere, SECRET_EXPOSED when others may read the file.
 * The text of the secret is in no error.
 */
export async function resolveSecret(ref: SecretRef, sources: SecretSources): Promise<string> {
  if ('env' in ref) {
    const value = sources.env[ref.env];
    if (value === undefined || value === '') {
      throw unresolved(`environment variable ${ref.env} is not set`, `Set ${ref.env}.`);
    }
    return withoutNewline(value, `environment variable ${ref.env}`);
  }
  return 'file' in ref ? await fromFile(ref.file) : await fromCredential(ref.credential, sources);
}

/** A reference as a person may see it; it is no secret. */
export function secretRefText(ref: SecretRef): string {
  if ('env' in ref) return `environment variable ${ref.env}`;
  return 'file' in ref ? `file ${ref.file}` : `credential ${ref.credential}`;
}

async function fromFile(path: string): Promise<string> {
  if (!path.startsWith('/')) {
    throw unresolved(
      `${JSON.stringify(path)} is no absolute path of a secret`,
      'Write the whole path.',
    );
  }
  return await readSecret(path, true);
}

async function fromCredential(name: string, sources: SecretSources): Promise<string> {
  const { credentialsDirectory } = sources;
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name)) {
    throw unresolved(
      `${JSON.stringify(name)} is no name of a credential`,
      'Use letters, digits, . _ -',
    );
  }
  if (credentialsDirectory === undefined || credentialsDirectory === '') {
    throw unresolved(
      `credential ${name} is wanted, but the service has no credentials`,
      `Put the secret into /etc/riser/secrets/${name}, which the unit of the service loads; outside systemd set CREDENTIALS_DIRECTORY.`,
    );
  }
  // LoadCredential= of a folder puts its files into a folder or, flattened, before an underscore.
  const places = [name, join('secrets', name), `secrets_${name}`];
  for (const place of places) {
    try {
      return await readSecret(join(credentialsDirectory, place), false);
    } catch (error) {
      if (!(error instanceof GatewayError) || codeOf(error.cause) !== 'ENOENT') throw error;
    }
  }
  throw unresolved(
    `there is no credential ${name} in ${credentialsDirectory}`,
    `Put the secret into /etc/riser/secrets/${name} with mode 0600 and restart the service.`,
  );
}

async function readSecret(path: string, private_: boolean): Promise<string> {
  let text: string;
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) throw new Error('it is not an ordinary file');
      if (private_ && (stat.mode & 0o177) !== 0) throw exposed(path, stat.mode);
      if (stat.size > secretLimit) throw new Error(`it is larger than ${secretLimit} bytes`);
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(secretLimit), 0, secretLimit, 0);
      text = buffer.toString('utf8', 0, bytesRead);
      buffer.fill(0);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    const why = codeOf(error) === 'ENOENT' ? 'it does not exist' : reasonOf(error);
    throw unresolved(`the secret in ${path} cannot be read: ${why}`, undefined, error);
  }
  return withoutNewline(text, path);
}

function withoutNewline(text: string, where: string): string {
  const secret = text.replace(/\r?\n$/, '');
  if (secret === '') throw unresolved(`the secret in ${where} is empty`);
  return secret;
}

function exposed(path: string, mode: number): GatewayError {
  const octal = (mode & 0o777).toString(8).padStart(4, '0');
  return new GatewayError(
    'SECRET_EXPOSED',
    `${path} has mode ${octal}: others can read the secret`,
    {
      remedy: `Run "chmod 600 ${path}", and change the secret if others have used the machine.`,
    },
  );
}

function unresolved(message: string, remedy?: string, cause?: unknown): GatewayError {
  return new GatewayError('SECRET_UNRESOLVED', message, {
    ...(remedy === undefined ? {} : { remedy }),
    ...(cause === undefined ? {} : { cause }),
  });
}
