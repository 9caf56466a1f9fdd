import { withDeadline } from '../kernel/wait.ts';
import type { Link } from '../model/device.ts';
import { linkId } from '../model/ids.ts';
import type { CheckLink, LinkIssue } from '../model/installed-driver.ts';
import type { PlacedDevice } from './assemble-devices.ts';
import { checkSchema } from './check-schema.ts';
import type { DriverSchemas } from './driver-schemas.ts';
import type { FindingDraft, FindingList } from './finding-list.ts';
import { pointerStep, pointerSteps } from './json-pointer.ts';
import type { Entries, Entry } from './read-documents.ts';
import { isSecretRef } from './setting-spec.ts';
import { opaque } from './split-point.ts';
import { didYouMean } from './suggest.ts';
import { isMapping } from './yaml-document.ts';

/** A link, and where it stands in the files. */
export interface PlacedLink {
  readonly link: Link;
  readonly entry: Entry;
}

/** How long a driver may think about one link. */
const deadlineMs = 15_000;

/** Checks each link against the schema of its driver; one that is wrong is left out, with findings. */
export function assembleLinks(
  entries: Entries,
  drivers: DriverSchemas,
  findings: FindingList,
): readonly PlacedLink[] {
  const links: PlacedLink[] = [];
  for (const entry of entries.byId.values()) {
    const before = findings.errors;
    const { driver: id, config, title } = entry.data;
    if (typeof id !== 'string') continue;
    const at = { at: entry.at, pointer: `${entry.pointer}/driver` };
    if (!drivers.has(id)) {
      findings.add({
        code: 'E1304',
        ...at,
        message: `there is no driver "${id}"; installed: ${drivers.ids().join(', ') || 'none'}`,
        ...didYouMean(id, drivers.ids()),
      });
      continue;
    }
    const driver = drivers.get(id);
    if (driver === undefined) continue;
    const pointer = (within: string) => `${entry.pointer}/config${within}`;
    const skip = refusePlainSecrets(entry, driver.link, findings);
    if (isMapping(config))
      checkSchema(driver.link, config, { at: entry.at, pointer, skip }, findings);
    if (!entry.valid || findings.errors !== before) continue;
    links.push({
      entry,
      link: {
        id: linkId(entry.id),
        driver: id,
        ...(typeof title === 'string' ? { title } : {}),
        config: opaque(config),
      },
    });
  }
  return links;
}

/** A driver marks the keys of its secrets with `writeOnly`; they take a reference. */
function refusePlainSecrets(entry: Entry, schema: object, findings: FindingList): Set<string> {
  const judged = new Set<string>();
  const { config } = entry.data;
  const properties: unknown = Reflect.get(schema, 'properties');
  if (!isMapping(config) || !isMapping(properties)) return judged;
  for (const [key, property] of Object.entries(properties)) {
    if (!isMapping(property) || property.writeOnly !== true) continue;
    const value = config[key];
    if (value === undefined || value === null || isMapping(value) || isSecretRef(value)) continue;
    judged.add(pointerStep(key));
    findings.add({
      code: 'E1601',
      at: entry.at,
      pointer: `${entry.pointer}/config${pointerStep(key)}`,
      secret: true,
      message: `the secret ${key} must not stand in a file of the configuration`,
      hint: 'put it into a file of /etc/riser/secrets with mode 0600 and write { credential: name } or { file: path }',
    });
  }
  return judged;
}

/** Has each driver look at its links, for rules that only the protocol knows. */
export async function askDrivers(
  links: readonly PlacedLink[],
  devices: readonly PlacedDevice[],
  checkLink: CheckLink,
  findings: FindingList,
): Promise<void> {
  const byLink = Map.groupBy(
    devices.filter((placed) => placed.enabled),
    (placed) => placed.device.link,
  );
  await Promise.all(
    links.map(async (placed) => {
      const { link, entry } = placed;
      const own = byLink.get(link.id) ?? [];
      try {
        const issues = await withDeadline(
          `checking link "${link.id}"`,
          deadlineMs,
          checkLink(
            link.driver,
            link.config,
            own.map(({ device }) => device),
          ),
        );
        for (const issue of issues) findings.add(draftOf(issue, placed, own));
      } catch (error) {
        findings.add({
          code: 'W1703',
          at: entry.at,
          pointer: entry.pointer,
          message: `driver ${link.driver} could not check link "${link.id}": ${error instanceof Error ? error.message : String(error)}`,
        });
      }
    }),
  );
}

function draftOf(
  issue: LinkIssue,
  placed: PlacedLink,
  devices: readonly PlacedDevice[],
): FindingDraft {
  return {
    code: issue.severity === 'error' ? 'E1701' : 'W1702',
    ...(issue.code !== undefined && /^[A-Z][A-Z0-9_]{1,40}$/.test(issue.code)
      ? { driverCode: issue.code }
      : {}),
    ...placeOf(issue.path, placed, devices),
    message: issue.message,
  };
}

/** Where in the files the thing stands that a driver speaks of. */
function placeOf(
  path: string,
  { entry }: PlacedLink,
  devices: readonly PlacedDevice[],
): Pick<FindingDraft, 'at' | 'pointer' | 'place'> {
  const [head, id, part, ...rest] = pointerSteps(path);
  if (head !== 'devices') {
    const below = head === 'link' ? path.slice('/link'.length) : '';
    return { at: entry.at, pointer: `${entry.pointer}/config${below}` };
  }
  const found = devices.find(({ device }) => device.id === id);
  if (found === undefined) return { at: entry.at, pointer: entry.pointer };
  const device = { at: found.entry.at, pointer: found.entry.pointer };
  const below = rest.map(pointerStep).join('');
  if (part === 'address') return { ...device, pointer: `${device.pointer}/address${below}` };
  const [name = '', key] = rest;
  if (part === 'points') {
    const keys = rest.slice(1).map(pointerStep).join('');
    const own = found.overrides.get(name);
    if (own?.placeOf !== undefined) {
      return { at: own.at, pointer: own.pointer + keys, place: own.placeOf(key ?? 'id') };
    }
    const point = own ?? found.profile?.points.get(name);
    if (point !== undefined) return { at: point.at, pointer: point.pointer + keys };
  }
  // Anything else of a device is about its profile's part: link, limits, probe.
  const keys = (part === 'options' || part === 'profile' ? rest : [part ?? '', ...rest])
    .filter((step) => step !== '')
    .map(pointerStep)
    .join('');
  return found.profile === undefined || keys === ''
    ? device
    : { at: found.profile.at, pointer: keys };
}
