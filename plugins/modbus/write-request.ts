import type { MaskedRegister } from './encode.ts';

/** Functions with which a point may be written (Modbus V1.1b3, 6.5, 6.6, 6.11, 6.12 and 6.16). */
export type WriteFunction = 5 | 6 | 15 | 16 | 22;

/** A request to set one coil, by function 5 or 15. */
export function writeCoil(fc: 5 | 15, address: number, on: boolean): Buffer {
  if (fc === 15) {
    const pdu = Buffer.from([15, 0, 0, 0, 1, 1, on ? 1 : 0]);
    pdu.writeUInt16BE(address, 1);
    return pdu;
  }
  const pdu = Buffer.from([5, 0, 0, on ? 0xff : 0, 0]);
  pdu.writeUInt16BE(address, 1);
  return pdu;
}

/** A request to set registers to these bytes, by function 6 (one register only) or 16. */
export function writeRegisters(fc: 6 | 16, address: number, bytes: Buffer): Buffer {
  const count = bytes.length / 2;
  // 123 registers fit into one request of function 16.
  if (!Number.isInteger(count) || count < 1 || count > (fc === 6 ? 1 : 123)) {
    throw new RangeError(`function ${fc} cannot write ${count} registers`);
  }
  const head = Buffer.alloc(fc === 6 ? 3 : 6);
  head[0] = fc;
  head.writeUInt16BE(address, 1);
  if (fc === 16) {
    head.writeUInt16BE(count, 3);
    head[5] = bytes.length;
  }
  return Buffer.concat([head, bytes]);
}

/** A request to change a part of one register and leave the rest as it is. */
export function writeMask(address: number, { and, or }: MaskedRegister): Buffer {
  const pdu = Buffer.alloc(7);
  pdu[0] = 22;
  pdu.writeUInt16BE(address, 1);
  pdu.writeUInt16BE(and, 3);
  pdu.writeUInt16BE(or, 5);
  return pdu;
}
