import { accessSync, constants } from 'node:fs';
import path from 'node:path';

/** Where mbpoll is, an independent Modbus client on libmodbus (Debian package mbpoll). */
export function findMbpoll(): string | undefined {
  const named = process.env.RISER_TEST_MBPOLL;
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/bin'];
  return [
    ...(named === undefined ? [] : [named]),
    ...folders.map((f) => path.join(f, 'mbpoll')),
  ].find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
