/**
 * Why a value is bad or uncertain. One catalogue for drivers, log, page, CLI and MQTT.
 * A code is part of the public interface: it travels on the wire. Never reuse one.
 */

/** Reasons that come with a value: the quality is `uncertain`. */
export type UncertainReason =
  /** Outside the range that the profile gives for the point. */
  | 'out-of-range'
  /** The device sent a state number that the profile does not name; the value is the number. */
  | 'unknown-state'
  /** A counter fell or jumped; the value is the last one that was confirmed. */
  | 'suspect';

/** Reasons that come without a value: the quality is `bad` and the value null. */
export type BadReason =
  /** The device did not answer in time. */
  | 'timeout'
  /** The device did not answer several times in a row; it is only probed until it does. */
  | 'offline'
  /** The connection or serial line to the device cannot be opened or broke. */
  | 'link-down'
  /** The device answered that it does not have this point or will not give it. */
  | 'refused'
  /** The device answered that it is busy. */
  | 'busy'
  /** The device answered that it failed to read the point. */
  | 'device-failure'
  /** A protocol gateway answered that it cannot reach the device behind it. */
  | 'no-path'
  /** The answer was malformed, or was an answer to something else. */
  | 'bad-response'
  /** The device says that it has no value for the point at present. */
  | 'not-available'
  /** The answer is not a number, and the profile does not say what that means. */
  | 'not-a-number'
  /** The address in the configuration is not possible on this device. */
  | 'bad-address'
  /** The driver or device cannot do what was asked. */
  | 'not-supported'
  /** The link was closed while the answer was awaited. */
  | 'closed'
  /** The device behind the address is not the one that the profile describes. */
  | 'unidentified'
  /** A defect of the gateway or a driver. */
  | 'internal';

export type Reason = UncertainReason | BadReason;

export interface ReasonText {
  /** Completes "The point …" for a person. */
  readonly text: string;
  readonly remedy: string;
}

export const reasons: Readonly<Record<Reason, ReasonText>> = {
  'out-of-range': {
    text: 'has a value outside the range of its profile',
    remedy: 'Compare with the display of the device; correct scale or range in the profile.',
  },
  'unknown-state': {
    text: 'has a state number that its profile does not name',
    remedy: 'Look the number up in the manual and add it to the profile.',
  },
  suspect: {
    text: 'is a counter that fell or jumped and is not confirmed yet',
    remedy: 'If the device was replaced or reset this settles by itself after a few readings.',
  },
  timeout: {
    text: 'was asked for, but its device did not answer',
    remedy: 'Check power and cabling of the device, then its unit id.',
  },
  offline: {
    text: 'belongs to a device that has not answered several times in a row',
    remedy: 'Check power and cabling of the device, then its unit id.',
  },
  'link-down': {
    text: 'is behind a connection that cannot be opened',
    remedy: 'Check the network or the serial adapter, then host and port of the link.',
  },
  refused: {
    text: 'was refused by its device',
    remedy: 'Compare table, address and unit id with the register list of the device.',
  },
  busy: {
    text: 'was asked for while its device was busy',
    remedy: 'Nothing, if it passes; else poll the device less often.',
  },
  'device-failure': {
    text: 'could not be read by its own device',
    remedy: 'Look at the display of the device for a fault.',
  },
  'no-path': {
    text: 'is behind a protocol gateway that cannot reach its device',
    remedy: 'Check the line behind the gateway and the unit id.',
  },
  'bad-response': {
    text: 'was answered with something that does not fit the question',
    remedy: 'Look for a second client on the link, line noise, or two devices with one unit id.',
  },
  'not-available': {
    text: 'has no value at present, says its device',
    remedy: 'Nothing: the device has not measured it (not fitted, or asleep).',
  },
  'not-a-number': {
    text: 'was answered with something that is not a number',
    remedy: 'Compare type and word order in the profile with the manual.',
  },
  'bad-address': {
    text: 'has an address that is not possible on its device',
    remedy: 'Run "riser config validate" and correct the address.',
  },
  'not-supported': {
    text: 'asks for something that the driver or device cannot do',
    remedy: 'Compare the profile with the manual of the device.',
  },
  closed: {
    text: 'was asked for while the link was being closed',
    remedy: 'Nothing: it is read again when the link is open.',
  },
  unidentified: {
    text: 'belongs to a device that is not the one its profile describes',
    remedy: 'Check the unit id and which device is really connected.',
  },
  internal: {
    text: 'could not be read because of a defect of the gateway',
    remedy: 'Keep the log and report it.',
  },
};
