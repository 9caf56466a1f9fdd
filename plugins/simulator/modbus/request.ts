/** What a request asks for, as far as faults have to know it. */
export interface Target {
  readonly kind: 'bits' | 'registers';
  readonly address: number;
  readonly count: number;
  /** Whether it reads a table; the other requests write. */
  readonly reads: boolean;
}

/** The addresses that a request touches, or undefined if it touches none or is malformed. */
export function targetOf(pdu: Buffer): Target | undefined {
  if (pdu.length < 5) return undefined;
  const address = pdu.readUInt16BE(1);
  const second = pdu.readUInt16BE(3);
  switch (pdu[0] ?? 0) {
    case 1:
    case 2:
      return { kind: 'bits', address, count: second, reads: true };
    case 3:
    case 4:
    case 23:
      return { kind: 'registers', address, count: second, reads: true };
    case 5:
      return { kind: 'bits', address, count: 1, reads: false };
    case 6:
    case 22:
      return { kind: 'registers', address, count: 1, reads: false };
    case 15:
      return { kind: 'bits', address, count: second, reads: false };
    case 16:
      return { kind: 'registers', address, count: second, reads: false };
    default:
      return undefined;
  }
}
