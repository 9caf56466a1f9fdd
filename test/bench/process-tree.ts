import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';

/** Clock ticks a second of /proc/<pid>/stat on Linux. */
const ticksPerSecond = 100;

/** A process and all that it started, by pid. */
export function treeOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = Number(statOf(Number(entry))?.[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const tree: number[] = [];
  for (let next = [root]; next.length > 0; next = next.flatMap((pid) => children.get(pid) ?? [])) {
    tree.push(...next);
  }
  return tree;
}

/** CPU seconds that processes have used. */
export function cpuSecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const stat = statOf(pid);
    return sum + (stat === undefined ? 0 : (Number(stat[11]) + Number(stat[12])) / ticksPerSecond);
  }, 0);
}

/**
 * CPU seconds that this process and all it has started have used, those that have ended included:
 * what a child used passes to its parent when it ends.
 */
export function ownCpuSeconds(): number {
  return treeOf(process.pid).reduce((sum, pid) => {
    const stat = statOf(pid);
    if (stat === undefined) return sum;
    const [user, system, childrenUser, childrenSystem] = stat.slice(11, 15).map(Number);
    const ticks = (user ?? 0) + (system ?? 0) + (childrenUser ?? 0) + (childrenSystem ?? 0);
    return sum + ticks / ticksPerSecond;
  }, 0);
}

/** CPU seconds of each thread by process and name, such as `1234 node-MainThread`. */
export function threadCpuSeconds(pids: readonly number[]): ReadonlyMap<string, number> {
  const threads = new Map<string, number>();
  for (const pid of pids) {
    for (const tid of listed(`/proc/${pid}/task`)) {
      try {
        const text = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'utf8');
        const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
        const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
        const seconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
        const key = `${pid} ${name}`;
        threads.set(key, (threads.get(key) ?? 0) + seconds);
      } catch {
        // It has ended since it was listed.
      }
    }
  }
  return threads;
}

/** Bytes that a process has sent to the disk. */
export function diskBytesOf(pid: number): number {
  return Number(
    /^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? Number.NaN,
  );
}

/** Memory of processes in MiB, pages that they share counted once (PSS). */
export function pssMiBOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    try {
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      return sum + Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0) / 1024;
    } catch {
      return sum;
    }
  }, 0);
}

/** CPU seconds that the whole machine has been busy. */
export function machineCpuSeconds(): number {
  const fields = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '')
    .trim()
    .split(/\s+/)
    .slice(1, 9)
    .map(Number);
  const total = fields.reduce((sum, ticks) => sum + ticks, 0);
  return (total - (fields[3] ?? 0) - (fields[4] ?? 0)) / ticksPerSecond;
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Fields of /proc/<pid>/stat behind the name: [0] state, [1] parent, [11] utime, [12] stime. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
