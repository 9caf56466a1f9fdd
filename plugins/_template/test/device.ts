/** The device that the template driver asks, for its tests and for trying it out. */
const values: Readonly<Record<string, number>> = { temp: 21.5, hum: 40.25, power: 1_200 };
const words: Readonly<Record<string, string>> = { broken: 'NaN', endless: 'inf', absent: '-' };

/** The answer to one line. Numbers are higher by `salt`; each prefix has numbers of its own. */
export function answerLine(line: string, salt = 0): string {
  const [, room = '', name = ''] = /^GET (?:room(\d)\.)?([a-z0-9.]+)$/.exec(line.trim()) ?? [];
  const value = values[name];
  if (value !== undefined) return `${value + Number(room) * 100 + salt}\n`;
  return `${words[name] ?? 'ERR unknown'}\n`;
}

/** What the device says for a name, as a number. */
export const numberOf = (room: number, name: string, salt = 0): number =>
  (values[name] ?? 0) + room * 100 + salt;
