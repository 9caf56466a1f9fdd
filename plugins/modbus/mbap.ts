/** A frame of Modbus TCP (Messaging on TCP/IP V1.0b, 3.1.3), without protocol id and length. */
export interface MbapFrame {
  readonly transaction: number;
  readonly unit: number;
  readonly pdu: Buffer;
}

const headerBytes = 7;
// Unit and function at least; 253 bytes of PDU and the unit at most.
const shortest = 2;
const longest = 254;
const nothing = Buffer.alloc(0);

/** One request or answer as it goes over TCP. */
export function mbapFrame(transaction: number, unit: number, pdu: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + pdu.length);
  frame.writeUInt16BE(transaction, 0);
  frame.writeUInt16BE(0, 2);
  frame.writeUInt16BE(pdu.length + 1, 4);
  frame[6] = unit;
  pdu.copy(frame, headerBytes);
  return frame;
}

/** Cuts a stream into frames, whatever the segments; keeps 259 bytes at most. */
export class MbapStream {
  #rest: Buffer = nothing;

  /**
   * Gives each complete frame to `onFrame`, until that returns false. Returns false when the
   * stream is no Modbus TCP: from there on no frame can be told from another.
   */
  push(chunk: Buffer, onFrame: (frame: MbapFrame) => boolean): boolean {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let start = 0;
    while (bytes.length - start >= 6) {
      const length = bytes.readUInt16BE(start + 4);
      if (bytes.readUInt16BE(start + 2) !== 0 || length < shortest || length > longest) {
        this.#rest = nothing;
        return false;
      }
      const end = start + 6 + length;
      if (end > bytes.length) break;
      const goOn = onFrame({
        transaction: bytes.readUInt16BE(start),
        unit: bytes[start + 6] ?? 0,
        pdu: bytes.subarray(start + headerBytes, end),
      });
      if (!goOn) {
        this.#rest = nothing;
        return true;
      }
      start = end;
    }
    // A copy, so that a few bytes do not hold a whole segment in memory.
    this.#rest = start === bytes.length ? nothing : Buffer.from(bytes.subarray(start));
    return true;
  }
}
