import type { ConfigIssue, DeviceConfig, DriverFactory, Json } from '#driver';
import type { Clock } from '../../model/clock.ts';
import { asDriverError } from './driver-error.ts';
import { LinkDriverHost } from './driver-host.ts';

/** Findings of one link that are told; a technician corrects a few at a time. */
const maxIssues = 500;
const maxTextLength = 500;

/**
 * What a driver finds wrong in a link and its devices. Uses a driver object of its own that is
 * never connected, so that a configuration can be checked while another one is in use.
 */
export async function validate(
  factory: DriverFactory,
  link: Json,
  devices: readonly DeviceConfig[],
  clock: Clock,
): Promise<readonly ConfigIssue[]> {
  const ignore = () => undefined;
  const host = new LinkDriverHost({ link: 'check', clock, send: ignore, lost: ignore });
  try {
    const driver = factory(host);
    const issues = [...attempt('/link', () => driver.validateLink?.(link, devices) ?? [])];
    for (const device of devices) {
      const root = `/devices/${device.id}`;
      for (const issue of attempt('', () => driver.validateDevice(device))) {
        issues.push({ ...issue, path: `${root}${issue.path}` });
      }
    }
    await driver.close();
    return issues.slice(0, maxIssues).map(bounded);
  } catch (error) {
    return [defect('/link', error)];
  } finally {
    host.close();
  }
}

function attempt(path: string, look: () => readonly ConfigIssue[]): readonly ConfigIssue[] {
  try {
    return look();
  } catch (error) {
    return [defect(path, error)];
  }
}

const defect = (path: string, error: unknown): ConfigIssue => ({
  path,
  message: `the driver could not check it: ${asDriverError(error).message}`,
  code: 'CHECK_FAILED',
});

function bounded({ path, message, severity, code }: ConfigIssue): ConfigIssue {
  return {
    path: String(path).slice(0, maxTextLength),
    message: String(message).slice(0, maxTextLength),
    severity: severity === 'warning' ? 'warning' : 'error',
    ...(typeof code === 'string' && { code: code.slice(0, 60) }),
  };
}
