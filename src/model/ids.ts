import { GatewayError } from './errors.ts';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** Ids are logical and outlive hardware: one level of a topic, lower case. */
export type GatewayId = Branded<'gateway'>;
export type TenantId = Branded<'tenant'>;
export type LinkId = Branded<'link'>;
export type DeviceId = Branded<'device'>;
/** `{device}/{point id of the profile}`. */
export type PointId = Branded<'point'>;

/** What a gateway, tenant, link or device id looks like: it is one level of an MQTT topic. */
export const idPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** The point's part of a point id: dotted words, with an optional index: `mppt[2].power`. */
export const pointNamePattern = /^[a-z][A-Za-z0-9]*(\[\d+\])?(\.[a-z0-9][A-Za-z0-9]*(\[\d+\])?)*$/;

/** Longest point name, so that a point id stays below 200 bytes. */
export const pointNameMaxLength = 128;

const parse =
  <Id extends string>(what: string) =>
  (text: string): Id => {
    if (!idPattern.test(text)) {
      throw new GatewayError(
        'ID_INVALID',
        `${JSON.stringify(text.slice(0, 80))} is no ${what} id: it takes lower-case letters, digits and dashes, at most 63`,
      );
    }
    return text as unknown as Id;
  };

export const gatewayId = parse<GatewayId>('gateway');
export const tenantId = parse<TenantId>('tenant');
export const linkId = parse<LinkId>('link');
export const deviceId = parse<DeviceId>('device');

/** Joins a device and the name of one of its points. */
export function pointId(device: DeviceId, name: string): PointId {
  if (name.length > pointNameMaxLength || !pointNamePattern.test(name)) {
    throw new GatewayError(
      'ID_INVALID',
      `${JSON.stringify(name.slice(0, 80))} is no point id: it takes dotted words such as ac.l1.voltage`,
    );
  }
  return `${device}/${name}` as unknown as PointId;
}
