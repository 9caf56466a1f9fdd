// TI081: date and time in four registers, as Schneider Electric meters send it after IEC 870-5-4
// (manuals of IM400N and EM3000, "Date and time format"): year since 2000; month, day of the week
// and day; summer time, hour, not valid and minute; milliseconds of the minute.

/** ISO 8601 without a zone, as the device says its local time; undefined if the registers hold no date. */
export function readTi081(data: Buffer, start: number): string | undefined {
  const day = data.readUInt16BE(start + 2);
  const time = data.readUInt16BE(start + 4);
  const millis = data.readUInt16BE(start + 6);
  const date = {
    year: 2000 + (data.readUInt16BE(start) & 0x7f),
    month: (day >> 8) & 15,
    day: day & 31,
    hour: (time >> 8) & 31,
    minute: time & 63,
  };
  if (millis > 59_999 || date.hour > 23 || date.minute > 59) return undefined;
  const at = new Date(
    Date.UTC(date.year, date.month - 1, date.day, date.hour, date.minute, 0, millis),
  );
  // A day that the month does not have would silently become one of the next month.
  if (at.getUTCMonth() !== date.month - 1 || at.getUTCDate() !== date.day) return undefined;
  return at.toISOString().slice(0, -1);
}

/** Whether the device itself says that its clock is not set. */
export function isTi081Unset(data: Buffer, start: number): boolean {
  return (data.readUInt16BE(start + 4) & 0x80) !== 0;
}

/** Writes a date of four registers. Throws a RangeError if the text is no local time of 2000 to 2127. */
export function writeTi081(to: Buffer, text: string): void {
  const at = local.test(text) ? new Date(`${text}Z`) : new Date(Number.NaN);
  const year = at.getUTCFullYear() - 2000;
  if (!(year >= 0 && year <= 127)) {
    throw new RangeError(`"${text}" is not like 2026-11-20T14:30:00 in the years 2000 to 2127`);
  }
  to.writeUInt16BE(year, 0);
  to.writeUInt16BE(((at.getUTCMonth() + 1) << 8) | at.getUTCDate(), 2);
  to.writeUInt16BE((at.getUTCHours() << 8) | at.getUTCMinutes(), 4);
  to.writeUInt16BE(at.getUTCSeconds() * 1000 + at.getUTCMilliseconds(), 6);
}

const local = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?$/;

/** ISO 8601 in UTC of the seconds since 1970 that two registers hold. */
export function readUnixSeconds(data: Buffer, start: number): string {
  return new Date(data.readUInt32BE(start) * 1000).toISOString().replace('.000Z', 'Z');
}

/** Writes seconds since 1970. Throws a RangeError if the text is no time in UTC that fits. */
export function writeUnixSeconds(to: Buffer, text: string): void {
  const seconds = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/.test(text)
    ? Date.parse(text) / 1000
    : Number.NaN;
  if (!Number.isInteger(seconds)) {
    throw new RangeError(`"${text}" is not like 2026-11-20T14:30:00Z`);
  }
  to.writeUInt32BE(seconds, 0);
}
