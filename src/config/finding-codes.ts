/** What one code of a finding means; docs/reference/config-codes.md is generated from it. */
export interface FindingKind {
  readonly title: string;
  /** For a technician: when it appears and what to do. */
  readonly text: string;
}

/**
 * Everything that can be found wrong in a configuration. E: the configuration is not applied.
 * W: it is applied, but somebody should look. A code is part of the public interface: it is never
 * used twice.
 */
export const findingCodes = {
  E1001: {
    title: 'File cannot be read',
    text: 'Check that it exists, is an ordinary file, and that user riser may read it.',
  },
  E1002: {
    title: 'File too large',
    text: 'A YAML file may have 4 MiB, a CSV file 16 MiB. Split it, or describe the points once in a profile.',
  },
  E1003: {
    title: 'File is not UTF-8 text',
    text: 'Save it again as UTF-8. In Excel: "CSV UTF-8 (comma delimited)".',
  },
  E1004: {
    title: 'Too many files',
    text: 'A folder may have 1 000 files. Put several devices into one file.',
  },
  W1005: {
    title: 'File is ignored',
    text: 'Its name does not end as the folder wants it (.yaml, or .csv in points.d). Rename it.',
  },
  E1101: {
    title: 'YAML cannot be understood',
    text: 'Mostly an indent, a missing colon, an open bracket or a tab. Indent with spaces.',
  },
  E1102: {
    title: 'Key given twice',
    text: 'The same key stands twice in one group of keys. Remove one.',
  },
  E1103: {
    title: 'More than one document in a file',
    text: 'A line "---" begins a second document. Put it into a file of its own.',
  },
  E1104: {
    title: 'Too much behind aliases',
    text: 'Aliases (*name) would blow the document up. Write the values out.',
  },
  E1105: {
    title: 'Number that cannot be kept exactly',
    text: 'Infinite, not a number, or a whole number above 9 007 199 254 740 991.',
  },
  E1106: {
    title: 'Nested too deep',
    text: 'More than 64 levels. No document of the gateway needs more than ten.',
  },
  E1107: {
    title: 'Wrong kind of document',
    text: 'The file must be a group of keys, not a list or a text.',
  },
  E1201: {
    title: 'Unknown key',
    text: 'Mostly a typing error. Unknown keys are refused, so that a setting is never ignored silently.',
  },
  E1202: { title: 'Missing key', text: 'Add the key that the message names.' },
  E1203: { title: 'Value not in the list', text: 'Use one of the values that the message names.' },
  E1204: {
    title: 'Wrong kind of value',
    text: 'For instance text where a number is wanted. Quotes make text: "502" is text, 502 is a number.',
  },
  E1205: { title: 'Wrong form', text: 'The value does not look as the message says.' },
  E1206: {
    title: 'Number out of limits',
    text: 'Use a number within the limits that the message names.',
  },
  E1207: {
    title: 'Too many or too few',
    text: 'The list or group has more or fewer entries than allowed.',
  },
  E1208: {
    title: 'Not allowed',
    text: 'The value breaks a rule of its schema; the message says which.',
  },
  E1301: { title: 'Unknown tenant', text: 'Correct it, or add the tenant to tenants.d.' },
  E1302: { title: 'Unknown link', text: 'Correct it, or add the link to links.d.' },
  E1303: {
    title: 'Unknown profile',
    text: 'Correct id and version, or put the profile into profiles.d.',
  },
  E1304: {
    title: 'Unknown driver',
    text: 'Correct it, or install the plugin that has the driver.',
  },
  E1305: {
    title: 'Profile of another protocol',
    text: 'The driver of the link does not understand this kind of profile.',
  },
  E1306: { title: 'Id given twice', text: 'The message names both places. Change one of the ids.' },
  E1307: { title: 'Unknown device', text: 'Correct it, or add the device to devices.d.' },
  E1308: {
    title: 'Tenant of the gateway not set',
    text: 'With several tenants, gateway.tenant must say which one the events of the gateway itself belong to.',
  },
  E1401: {
    title: 'Undeclared group',
    text: 'The group of a point must stand under `groups` of its profile or device.',
  },
  E1402: {
    title: 'Range upside down',
    text: 'The first number of a range must not be above the second.',
  },
  E1403: {
    title: 'Profile extends too deep',
    text: 'A profile that is extended must not itself extend another.',
  },
  E1405: {
    title: 'Too many points',
    text: 'A gateway takes 50 000 points, a device 5 000. Spread them over more gateways.',
  },
  E1406: { title: 'Point given twice', text: 'The message names both places. Remove one.' },
  E1407: {
    title: 'Offset beyond the interval',
    text: 'offsetMs of a group must be below its intervalMs.',
  },
  E1408: {
    title: 'Point that stands for several',
    text: 'List the points one by one: mppt[1].power, mppt[2].power.',
  },
  E1409: {
    title: 'Test of an unknown point',
    text: 'A test of the profile expects a point that it does not have.',
  },
  W1410: {
    title: 'Shipped profile replaced',
    text: 'profiles.d has the same id and version as a profile of the release, and is used instead.',
  },
  W1411: {
    title: 'Device without points',
    text: 'Nothing is read from it. Name a profile or add points.',
  },
  E1501: {
    title: 'CSV cannot be understood',
    text: 'Mostly a quotation mark that is opened and never closed.',
  },
  E1502: {
    title: 'Unknown column',
    text: 'Correct the heading. The message names the nearest one.',
  },
  E1503: { title: 'Missing column', text: 'The first line must have the columns device and id.' },
  E1504: {
    title: 'Wrong number of cells',
    text: 'The line has more or fewer cells than the first line.',
  },
  E1505: {
    title: 'Cell is not a number',
    text: 'Write numbers with a point: 0.1. No unit, no thousands separator.',
  },
  E1506: { title: 'Empty cell', text: 'device and id must be filled in on each line.' },
  E1507: {
    title: 'Cell with two meanings',
    text: 'It could be a number or a text, and both are possible here. Write the number in hexadecimal, or an apostrophe before the text.',
  },
  E1508: { title: 'Column given twice', text: 'Remove one of the two columns.' },
  E1601: {
    title: 'Secret in plain text',
    text: 'Secrets are given by reference only: { credential: name }, { file: path } or { env: NAME }. Change the secret, too: it may be in a backup.',
  },
  E1602: {
    title: 'Secret cannot be read',
    text: 'The reference leads nowhere. The configuration is applied; what needs the secret does not work.',
  },
  E1603: {
    title: 'Secret can be read by others',
    text: 'Run "chmod 600" on the file. The configuration is applied; what needs the secret does not work.',
  },
  E1701: {
    title: 'Refused by the driver',
    text: 'The driver found an error that only the protocol can see.',
  },
  W1702: {
    title: 'Doubted by the driver',
    text: 'The driver found something that only the protocol can see.',
  },
  W1703: {
    title: 'Driver could not check',
    text: 'The rules of the protocol were not checked. See the log.',
  },
  E1704: {
    title: 'Driver unusable',
    text: 'The schema of the driver cannot be used. Reinstall its plugin.',
  },
  E1801: {
    title: 'Wrong value in the environment',
    text: 'Correct the variable, mostly in a drop-in of the unit.',
  },
  W1802: { title: 'Unknown variable', text: 'It looks like a setting, but is none.' },
  E1803: { title: 'Wrong value on the command line', text: 'Correct the flag.' },
  E1804: { title: 'Unknown setting on the command line', text: 'Correct the flag.' },
  W1901: {
    title: 'Last good configuration unusable',
    text: 'The saved copy is damaged or of another release. It is written again with the next good configuration.',
  },
  W1999: {
    title: 'More was found',
    text: 'Only the first 1 000 are listed. Correct some and look again.',
  },
} as const satisfies Readonly<Record<string, FindingKind>>;

/** A code of this gateway; drivers may add codes of their own. */
export type FindingCode = keyof typeof findingCodes;
