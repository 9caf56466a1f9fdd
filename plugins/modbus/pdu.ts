import type { Reason } from '#driver';
import type { Table } from './address.ts';
import { holdsBits } from './address.ts';

/** Most registers and bits that the protocol allows in one request (Modbus V1.1b3, 6.1 to 6.4). */
export const protocolLimits = { registers: 125, bits: 2000 } as const;

const readFunction: Readonly<Record<Table, number>> = {
  coil: 1,
  discrete: 2,
  holding: 3,
  input: 4,
};

/** A request to read `count` registers or bits. Throws a RangeError beyond the protocol's limits. */
export function readRequest(table: Table, address: number, count: number): Buffer {
  const most = holdsBits(table) ? protocolLimits.bits : protocolLimits.registers;
  if (!(count >= 1 && count <= most && address >= 0 && address + count <= 0x1_0000)) {
    throw new RangeError(`${count} from ${address} on cannot be read from table ${table}`);
  }
  const pdu = Buffer.allocUnsafe(5);
  pdu[0] = readFunction[table];
  pdu.writeUInt16BE(address, 1);
  pdu.writeUInt16BE(count, 3);
  return pdu;
}

/**
 * What is wrong with an answer to this request, in words; undefined if it fits. Devices have been
 * seen to answer with other functions, fewer registers and the echo of another request.
 */
export function misfit(request: Buffer, answer: Buffer): string | undefined {
  const asked = request[0] ?? 0;
  const got = answer[0];
  if (got === (asked | 0x80)) {
    return answer.length === 2 ? undefined : `an exception of ${answer.length} bytes`;
  }
  if (got !== asked) return `function ${got} instead of ${asked}`;
  const length = answerLength(request);
  if (length !== undefined && answer.length !== length) {
    return `${answer.length} bytes instead of ${length}`;
  }
  switch (asked) {
    case 1:
    case 2:
    case 3:
    case 4:
    case 23:
      return answer[1] === answer.length - 2
        ? undefined
        : `a byte count of ${answer[1]} instead of ${answer.length - 2}`;
    case 5:
    case 6:
    case 22:
      return answer.equals(request) ? undefined : 'the echo of another request';
    case 15:
    case 16:
      return answer.compare(request, 0, 5, 0, 5) === 0 ? undefined : 'the echo of another request';
    default:
      return undefined;
  }
}

function answerLength(request: Buffer): number | undefined {
  switch (request[0] ?? 0) {
    case 1:
    case 2:
      return 2 + Math.ceil(request.readUInt16BE(3) / 8);
    case 3:
    case 4:
    case 23:
      return 2 + 2 * request.readUInt16BE(3);
    case 5:
    case 6:
    case 15:
    case 16:
      return 5;
    case 22:
      return 7;
    default:
      return undefined;
  }
}

/** The exception code of an answer, or undefined if it is none. */
export function exceptionOf(answer: Buffer): number | undefined {
  return ((answer[0] ?? 0) & 0x80) === 0 ? undefined : (answer[1] ?? 0);
}

/** What an exception means for a reading (Modbus V1.1b3, 7). */
export function exceptionReason(code: number): { readonly reason: Reason; readonly text: string } {
  return (
    exceptions[code] ?? {
      reason: 'device-failure',
      text: 'the device answered with an exception that is not in the standard',
    }
  );
}

const exceptions: Readonly<Record<number, { readonly reason: Reason; readonly text: string }>> = {
  1: { reason: 'not-supported', text: 'the device cannot read this table' },
  2: { reason: 'refused', text: 'the device does not have this address' },
  3: { reason: 'refused', text: 'the device does not allow this address or length' },
  4: { reason: 'device-failure', text: 'the device failed to read the value' },
  5: { reason: 'busy', text: 'the device needs more time' },
  6: { reason: 'busy', text: 'the device is busy' },
  7: { reason: 'refused', text: 'the device refused to read the value' },
  8: { reason: 'device-failure', text: 'the memory of the device is damaged' },
  10: { reason: 'no-path', text: 'the gateway has no path to this unit' },
  11: { reason: 'no-path', text: 'the unit behind the gateway does not answer' },
};
