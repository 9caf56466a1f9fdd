/** Bytes before the protocol data unit: transaction, protocol, length, unit. */
export const headerBytes = 7;

/** Bytes that may wait for the parser: a read of 64 KiB while the one before is still held back. */
const mostBytes = 0x2_0000;

/** One request as it came in. `pdu` begins with the function code and is a view, not a copy. */
export interface Frame {
  readonly transaction: number;
  readonly unit: number;
  readonly pdu: Buffer;
}

/**
 * Cuts a TCP stream into Modbus/TCP frames. A header that cannot be one ends the stream: from
 * there on nobody knows where the next frame begins.
 */
export class FrameReader {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  /** Bytes of a frame that is not complete yet, or not taken yet. */
  get waiting(): number {
    return this.#bytes.length - this.#at;
  }

  /** False when the client sends more than a frame reader is willing to hold. */
  push(chunk: Buffer): boolean {
    const rest = this.waiting;
    if (rest + chunk.length > mostBytes) return false;
    this.#bytes = rest === 0 ? chunk : Buffer.concat([this.#bytes.subarray(this.#at), chunk]);
    this.#at = 0;
    return true;
  }

  /** The next frame, undefined when it is not complete, or 'broken' when there cannot be one. */
  next(): Frame | 'broken' | undefined {
    const bytes = this.#bytes;
    const at = this.#at;
    if (bytes.length - at < headerBytes + 1) {
      return bytes.length - at >= 6 && !possibleHeader(bytes, at) ? 'broken' : undefined;
    }
    if (!possibleHeader(bytes, at)) return 'broken';
    const end = at + 6 + bytes.readUInt16BE(at + 4);
    if (end > bytes.length) return undefined;
    this.#at = end;
    return {
      transaction: bytes.readUInt16BE(at),
      unit: bytes[at + 6] ?? 0,
      pdu: bytes.subarray(at + headerBytes, end),
    };
  }
}

/** Protocol 0; unit, function code and at most 252 bytes more (Modbus messaging on TCP/IP, §4). */
function possibleHeader(bytes: Buffer, at: number): boolean {
  const length = bytes.readUInt16BE(at + 4);
  return bytes.readUInt16BE(at + 2) === 0 && length >= 2 && length <= 254;
}

/** An answer with its header written and `pduBytes` bytes of room behind it, zeroed. */
export function emptyAnswer(frame: Frame, pduBytes: number): Buffer {
  const adu = Buffer.alloc(headerBytes + pduBytes);
  adu.writeUInt16BE(frame.transaction, 0);
  adu.writeUInt16BE(pduBytes + 1, 4);
  adu[6] = frame.unit;
  return adu;
}

/** An answer that refuses the request with an exception code. */
export function exceptionAnswer(frame: Frame, code: number): Buffer {
  const adu = emptyAnswer(frame, 2);
  adu[headerBytes] = (frame.pdu[0] ?? 0) | 0x80;
  adu[headerBytes + 1] = code;
  return adu;
}
