import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findPeer } from './find-peer.ts';

export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateOptions {
  readonly name: string;
  /** Names that it is valid for, such as `DNS:localhost`. */
  readonly names?: string;
  /** Last and first moment of its validity; by default a year from yesterday on. */
  readonly notAfter?: Date;
  readonly notBefore?: Date;
  /** A second authority that nobody knows. */
  readonly foreign?: boolean;
}

const dayMs = 86_400_000;

/** A small authority made with OpenSSL, its files in a folder of their own. */
export class CertificateAuthority {
  readonly folder: string;
  readonly #openssl: string;

  constructor() {
    const openssl = findPeer('openssl');
    if (openssl === undefined) throw new Error('openssl is not installed');
    this.#openssl = openssl;
    this.folder = mkdtempSync(path.join(tmpdir(), 'riser-ca-'));
    this.#authority('ca');
    this.#authority('foreign');
  }

  /** PEM file of the authority that signs, or of the one that nobody knows. */
  ca(foreign = false): string {
    return this.#file(foreign ? 'foreign.crt' : 'ca.crt');
  }

  issue(options: CertificateOptions): CertificateFiles {
    const { name, names, foreign = false } = options;
    const [from, to] = [
      options.notBefore ?? new Date(Date.now() - dayMs),
      options.notAfter ?? new Date(Date.now() + 365 * dayMs),
    ];
    const authority = foreign ? 'foreign' : 'ca';
    const files = { certificate: this.#file(`${name}.crt`), key: this.#file(`${name}.key`) };
    const database = this.#file(`${authority}.index`);
    writeFileSync(database, '');
    const settings = this.#file(`${name}.cnf`);
    writeFileSync(
      settings,
      [
        '[ca]',
        'default_ca=here',
        '[here]',
        `database=${database}`,
        `new_certs_dir=${this.folder}`,
        'default_md=sha256',
        'rand_serial=yes',
        'unique_subject=no',
        'policy=any',
        'x509_extensions=leaf',
        '[any]',
        'commonName=supplied',
        '[leaf]',
        'basicConstraints=CA:FALSE',
        `subjectAltName=${names ?? 'DNS:localhost,IP:127.0.0.1'}`,
      ].join('\n'),
    );
    const request = this.#file(`${name}.csr`);
    this.#run(
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-keyout', files.key, '-out', request, '-subj', `/CN=${name}`],
    );
    this.#run(
      ...['ca', '-batch', '-notext', '-config', settings, '-in', request],
      ...['-out', files.certificate, '-cert', this.#file(`${authority}.crt`)],
      ...['-keyfile', this.#file(`${authority}.key`)],
      ...['-startdate', asn1Time(from), '-enddate', asn1Time(to)],
    );
    return files;
  }

  read(file: string): string {
    return readFileSync(file, 'utf8');
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #authority(name: string): void {
    this.#run(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-keyout', this.#file(`${name}.key`), '-out', this.#file(`${name}.crt`)],
      ...['-subj', `/CN=test ${name}`, '-days', '3650'],
    );
  }

  #file(name: string): string {
    return path.join(this.folder, name);
  }

  #run(...args: string[]): void {
    execFileSync(this.#openssl, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 30_000 });
  }
}

function asn1Time(date: Date): string {
  return `${date.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
}
