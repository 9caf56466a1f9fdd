/** Longest remaining-length field: four bytes (MQTT 5.0, 1.5.5). */
const lengthBytes = 4;

/**
 * Looks at an MQTT byte stream before any parser does, and tells when a packet announces more than
 * is allowed: a parser collects up to 256 MiB for one packet before it looks at it.
 */
export class PacketGuard {
  readonly #limit: number;
  /** Bytes of the present packet's body still to come. */
  #body = 0;
  /** Bytes of the length field read so far; -1 while the first byte of a packet is awaited. */
  #field = -1;
  #length = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /** False from the chunk on in which a packet announces too much, or no length at all. */
  pass(chunk: Uint8Array): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body > 0) {
        const skipped = Math.min(this.#body, chunk.length - at);
        this.#body -= skipped;
        at += skipped;
      } else if (this.#field < 0) {
        this.#field = 0;
        this.#length = 0;
        at += 1;
      } else {
        const byte = chunk[at] ?? 0;
        at += 1;
        this.#length += (byte & 0x7f) * 128 ** this.#field;
        this.#field += 1;
        if (this.#length > this.#limit) return false;
        if ((byte & 0x80) === 0) {
          this.#body = this.#length;
          this.#field = -1;
        } else if (this.#field === lengthBytes) return false;
      }
    }
    return true;
  }
}
