/** The four tables of Modbus. */
export type Table = 'coil' | 'discrete' | 'input' | 'holding';

/** Where a point stands in the register map of a simulated device, and how it is written there. */
export interface Field {
  readonly point: string;
  readonly table: Table;
  /** As on the wire: the first one is 0. */
  readonly address: number;
  readonly type: 'bit' | 'uint16' | 'int16' | 'uint32' | 'int32' | 'uint64' | 'float32' | 'string';
  /** Order of the 16-bit words; the high word comes first unless said otherwise. */
  readonly wordOrder?: 'low-first';
  /** Final value = raw value × scale. */
  readonly scale?: number;
  /** Registers of a string. */
  readonly length?: number;
  /** The raw value that says "not available". */
  readonly notAvailable?: number;
}

const registersOfType = {
  bit: 1,
  uint16: 1,
  int16: 1,
  uint32: 2,
  int32: 2,
  uint64: 4,
  float32: 2,
  string: 1,
} as const;

/** How many registers (or bits) a field takes. */
export function fieldLength(field: Field): number {
  return field.type === 'string' ? (field.length ?? 1) : registersOfType[field.type];
}

/** Writes the final value of a field into its table's registers, which begin at address 0. */
export function encodeField(
  field: Field,
  value: number | boolean | string | null,
  registers: Buffer,
): void {
  const at = field.address * 2;
  if (value === null) {
    if (field.notAvailable === undefined) throw new Error(`${field.point} is always available`);
    registers.writeUInt16BE(field.notAvailable, at);
    return;
  }
  if (field.type === 'string') {
    const bytes = fieldLength(field) * 2;
    registers.fill(0, at, at + bytes);
    registers.write(String(value), at, bytes, 'latin1');
    return;
  }
  const number = Number(value);
  const raw = field.scale === undefined ? number : Math.round(number / field.scale);
  encodeNumber(field, raw, registers, at);
  if (field.wordOrder === 'low-first') swapWords(registers, at, fieldLength(field));
}

function encodeNumber(field: Field, raw: number, registers: Buffer, at: number): void {
  switch (field.type) {
    case 'bit':
    case 'uint16':
      registers.writeUInt16BE(raw, at);
      break;
    case 'int16':
      registers.writeInt16BE(raw, at);
      break;
    case 'uint32':
      registers.writeUInt32BE(raw, at);
      break;
    case 'int32':
      registers.writeInt32BE(raw, at);
      break;
    case 'uint64':
      registers.writeBigUInt64BE(BigInt(raw), at);
      break;
    case 'float32':
      registers.writeFloatBE(raw, at);
      break;
    case 'string':
      break;
  }
}

function swapWords(registers: Buffer, at: number, length: number): void {
  const words = registers.subarray(at, at + length * 2);
  words.swap16();
  words.reverse();
}
