import type { DriverHost, PointValue, PointWrite, WriteResult } from '#driver';
import { PointError } from './address.ts';
import { decoderOf } from './codec.ts';
import type { Link } from './link.ts';
import type { ModbusDevice } from './modbus-device.ts';
import type { ModbusError } from './modbus-error.ts';
import { exceptionOf, readRequest } from './pdu.ts';
import { type ModbusPoint, parsePoint } from './point.ts';
import {
  asRead,
  isSame,
  parseWriteRule,
  roundingOf,
  type WriteRule,
  writeRequest,
} from './write-rule.ts';

/** What a write needs besides the value. */
export interface WriteContext {
  readonly host: DriverHost;
  readonly link: Link;
  readonly device: ModbusDevice;
  readonly signal: AbortSignal;
}

/**
 * Writes one point, once. Whatever may have reached the device without a clear answer is `unknown`
 * and never sent again; it is read back first (docs/adr/0017).
 */
export async function writePoint(context: WriteContext, write: PointWrite): Promise<WriteResult> {
  const { device, host } = context;
  if (device.settings.unit === 0) {
    return refused('unit 0 reaches every device of a serial line; give the device its own unit id');
  }
  let point: ModbusPoint;
  let rule: WriteRule | undefined;
  try {
    point = parsePoint(write.pointId, write.address);
    const { write: source } = write.address as { readonly write?: PointWrite['address'] };
    rule = parseWriteRule(point, source);
  } catch (error) {
    if (!(error instanceof PointError)) throw error;
    return refused(`${error.key}: ${error.message}`);
  }
  if (rule === undefined) return refused('the profile does not say that this point may be written');
  if (write.value === null) return refused('a Modbus point cannot be released, only set');
  const earlier = device.writtenAt.get(point.id);
  const wait = (earlier ?? Number.NEGATIVE_INFINITY) + rule.minIntervalS * 1000 - host.monotonic();
  if (wait > 0) {
    return refused(`written a moment ago; the next time in ${Math.ceil(wait / 1000)} s`);
  }
  let pdu: Buffer;
  try {
    pdu = writeRequest(point, rule, write.value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return refused(error.message);
  }
  return send(context, write, { point, rule, pdu, value: write.value });
}

interface ReadyWrite {
  readonly point: ModbusPoint;
  readonly rule: WriteRule;
  readonly pdu: Buffer;
  readonly value: PointValue;
}

async function send(
  context: WriteContext,
  write: PointWrite,
  ready: ReadyWrite,
): Promise<WriteResult> {
  const { link, device, host, signal } = context;
  let exception: number | undefined;
  let failure: ModbusError | undefined;
  try {
    exception = exceptionOf(await link.request(requestOf(context, ready.pdu)));
  } catch (error) {
    failure = error as ModbusError;
    if (failure.unsent) return refused(`nothing was sent: ${failure.message}`);
  }
  const rejection = exception === undefined ? undefined : rejections[exception];
  if (rejection !== undefined) return refused(`${rejection} (exception ${exception})`);
  device.writtenAt.set(ready.point.id, host.monotonic());
  const doubt =
    failure?.message ?? (exception === undefined ? undefined : `exception ${exception}`);
  const asks = write.verify && ready.rule.readback !== undefined;
  if (signal.aborted || (doubt === undefined && !asks)) {
    return doubt === undefined ? { outcome: 'done' } : { outcome: 'unknown', detail: doubt };
  }
  return verify(context, ready, doubt);
}

/** Exceptions after which nothing was written; after any other one that is not certain. */
const rejections: Readonly<Record<number, string>> = {
  1: 'the device does not know this function; try another fc in the profile',
  2: 'the device does not have this address',
  3: 'the device does not take this value',
  6: 'the device is busy; try again later',
  7: 'the device refused the value',
  10: 'the gateway has no path to this unit',
};

async function verify(
  context: WriteContext,
  { point, rule, value }: ReadyWrite,
  doubt: string | undefined,
): Promise<WriteResult> {
  const delayMs = rule.readback?.delayMs ?? 0;
  const unsure = doubt === undefined ? 'not-verified' : 'unknown';
  const because = doubt === undefined ? '' : `${doubt}; `;
  if (delayMs > 0) await pause(context, delayMs);
  if (context.signal.aborted) return { outcome: unsure, detail: `${because}not read back` };
  try {
    const { table, address, count } = point;
    const answer = await context.link.request(
      requestOf(context, readRequest(table, address, count)),
    );
    const exception = exceptionOf(answer);
    if (exception !== undefined) {
      return { outcome: unsure, detail: `${because}reading back: exception ${exception}` };
    }
    const { value: read } = decoderOf(point)(answer.subarray(2), 0);
    if (read === undefined) {
      return { outcome: unsure, detail: `${because}reading back gave no value` };
    }
    const tolerance = (rule.readback?.tolerance ?? 0) + roundingOf(point, value);
    // Bits without a name are not part of what was written.
    const held = point.flags === undefined ? read : asRead(point, read);
    if (isSame(held, asRead(point, value), tolerance)) {
      if (doubt === undefined) return { outcome: 'done', readBack: read };
      return {
        outcome: 'done',
        readBack: read,
        detail: `${because}but the device holds the value`,
      };
    }
    return { outcome: unsure, readBack: read, detail: `${because}the device holds ${read}` };
  } catch (error) {
    const { message } = error as Error;
    return { outcome: unsure, detail: `${because}reading back: ${message}` };
  }
}

function requestOf({ device, signal }: WriteContext, pdu: Buffer) {
  const { unit, timeoutMs, interRequestMs, quirks } = device.settings;
  const ignoreUnitId = quirks.ignoreUnitId && { ignoreUnitId: true };
  return { unit, pdu, timeoutMs, interRequestMs, signal, ...ignoreUnitId };
}

function pause({ host, signal }: WriteContext, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      timer[Symbol.dispose]();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = host.setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

function refused(detail: string): WriteResult {
  return { outcome: 'refused', detail };
}
