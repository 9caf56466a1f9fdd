import { ModbusError } from '../modbus-error.ts';

/** Hosts of a /22: more are scanned only when somebody says that it is meant. */
export const usualHosts = 1_024;
/** Hosts of a /16: a larger net takes hours and is nobody's plant. */
const mostHosts = 65_536;

/** Addresses to scan, not yet written out. */
export interface HostRange {
  readonly size: number;
  hosts(): Iterable<string>;
}

/** Reads "192.168.1.0/28", "192.168.1.10-40", "192.168.1.9" or a name. Throws a ModbusError. */
export function hostRange(text: string): HostRange {
  const net = /^(?<base>[\d.]+)\/(?<prefix>\d{1,2})$/.exec(text)?.groups;
  if (net !== undefined) return netRange(text, net.base ?? '', Number(net.prefix));
  const span = /^(?<base>[\d.]+)-(?<last>\d{1,3})$/.exec(text)?.groups;
  if (span !== undefined) {
    const first = numberOf(text, span.base ?? '');
    const last = first - (first % 256) + Number(span.last);
    if (Number(span.last) > 255 || last < first) throw notAddresses(text);
    return between(first, last);
  }
  if (/^[\d.]+$/.test(text)) {
    const only = numberOf(text, text);
    return between(only, only);
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/.test(text)) throw notAddresses(text);
  return { size: 1, hosts: () => [text] };
}

/** All ranges together. Throws a ModbusError when they are more than is sensible. */
export function hostRanges(texts: readonly string[], force: boolean): HostRange {
  const ranges = texts.map(hostRange);
  const size = ranges.reduce((sum, range) => sum + range.size, 0);
  if (size > mostHosts) {
    throw new ModbusError(
      'bad-address',
      `${texts.join(' ')} has ${size} hosts; at most ${mostHosts} (a /16) can be scanned. Name the part of the net where the devices are`,
    );
  }
  if (size > usualHosts && !force) {
    throw new ModbusError(
      'bad-address',
      `${texts.join(' ')} has ${size} hosts, more than a /22 (${usualHosts}). Name a smaller net, or add --force`,
    );
  }
  return {
    size,
    *hosts() {
      for (const range of ranges) yield* range.hosts();
    },
  };
}

function netRange(text: string, base: string, prefix: number): HostRange {
  if (prefix > 32) throw notAddresses(text);
  const size = 2 ** (32 - prefix);
  const address = numberOf(text, base);
  const first = address - (address % size);
  // The first one is the net itself and the last one its broadcast address.
  return prefix >= 31 ? between(first, first + size - 1) : between(first + 1, first + size - 2);
}

function between(first: number, last: number): HostRange {
  return {
    size: last - first + 1,
    *hosts() {
      for (let at = first; at <= last; at++) {
        yield [at / 2 ** 24, at / 2 ** 16, at / 2 ** 8, at]
          .map((part) => Math.floor(part) % 256)
          .join('.');
      }
    },
  };
}

function numberOf(text: string, address: string): number {
  const parts = address.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) {
    throw notAddresses(text);
  }
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

function notAddresses(text: string): ModbusError {
  return new ModbusError(
    'bad-address',
    `"${text.slice(0, 80)}" is no address; write 192.168.1.0/28, 192.168.1.10-40 or 192.168.1.9`,
  );
}

/** Reads "1", "1-10" or "1,3,255" as numbers in their order. Throws a ModbusError. */
export function numberList(what: string, texts: readonly string[], most: number): number[] {
  const numbers = texts.flatMap((text) => {
    const parts = /^(?<from>\d{1,5})(?:-(?<to>\d{1,5}))?$/.exec(text.trim())?.groups;
    const from = Number(parts?.from ?? Number.NaN);
    const to = Number(parts?.to ?? from);
    if (!(from <= to && to <= most)) {
      throw new ModbusError(
        'bad-address',
        `${what} "${text.slice(0, 40)}" is not right; write numbers up to ${most}, such as 1,3 or 1-10`,
      );
    }
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
  return [...new Set(numbers)];
}
