import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { BenchScope } from './bench-scope.ts';
import type { RigShape } from './gateway-rig.ts';

const program = '/usr/sbin/collectd';
const plugins = '/usr/lib/collectd';
const endLimitMs = 5_000;

/** Whether collectd with its modbus and mqtt plugins is on this machine. */
export function hasCollectd(): boolean {
  return [program, `${plugins}/modbus.so`, `${plugins}/mqtt.so`].every((file) => existsSync(file));
}

/** Starts collectd on the same units and the same broker; resolves with its pid. */
export function startCollectd(
  scope: BenchScope,
  shape: RigShape,
  ports: readonly number[],
  brokerPort: number,
): number {
  const folder = mkdtempSync(path.join(tmpdir(), 'riser-bench-'));
  scope.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'collectd.conf');
  writeFileSync(file, configuration(folder, shape, ports, brokerPort));
  const child = spawn(program, ['-f', '-C', file], { stdio: 'ignore' });
  scope.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), endLimitMs);
    await gone;
    clearTimeout(timer);
  });
  return child.pid ?? -1;
}

/** Every register is a value of its own: collectd knows no blocks. */
function configuration(
  folder: string,
  { unitsPerLink, registers, intervalMs }: RigShape,
  ports: readonly number[],
  brokerPort: number,
): string {
  const numbers = Array.from({ length: registers }, (_, n) => n);
  const interval = intervalMs / 1_000;
  const collect = numbers.map((n) => `Collect "d${n}"`).join('\n');
  return `Hostname "bench"
FQDNLookup false
Interval ${interval}
BaseDir "${folder}"
PIDFile "${folder}/pid"
PluginDir "${plugins}"
TypesDB "/usr/share/collectd/types.db"
LoadPlugin modbus
LoadPlugin mqtt
<Plugin mqtt>
<Publish "up">
Host "127.0.0.1"
Port "${brokerPort}"
ClientId "collectd"
QoS 1
Prefix "collectd"
StoreRates false
</Publish>
</Plugin>
<Plugin modbus>
${numbers
  .map(
    (n) => `<Data "d${n}">
RegisterBase ${n}
RegisterType Uint16
RegisterCmd ReadHolding
Type gauge
Instance "r${n}"
</Data>`,
  )
  .join('\n')}
${ports
  .map(
    (port, link) => `<Host "h${link}">
Address "127.0.0.1"
Port "${port}"
Interval ${interval}
${Array.from(
  { length: unitsPerLink },
  (_, n) => `<Slave ${n + 1}>
Instance "u${link}-${n + 1}"
${collect}
</Slave>`,
).join('\n')}
</Host>`,
  )
  .join('\n')}
</Plugin>
`;
}
