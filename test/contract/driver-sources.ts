import { existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import path from 'node:path';

const importStatement =
  /^\s*(?:import|export)\s+(?<type>type\s)?(?:[^'";]*?\sfrom\s)?['"](?<target>[^'"]+)['"]|\bimport\(\s*['"](?<dynamic>[^'"]+)['"]/gm;

/** What DriverHost gives, or what only the gateway may do. */
const forbidden: ReadonlyArray<readonly [pattern: RegExp, instead: string]> = [
  [/\bconsole\s*\./, 'host.log'],
  [/\bprocess\s*\.\s*(?!getBuiltinModule|platform|arch|versions?\b)\w+/, 'nothing of the process'],
  [/\bDate\s*\.\s*now\b|\bnew\s+Date\s*\(\s*\)|(?<!new\s+)\bDate\s*\(\s*\)/, 'host.now()'],
  [/\bperformance\s*\.\s*now\b/, 'host.monotonic()'],
  [/(?<![.\w#])set(Timeout|Interval)\s*\(/, 'host.setTimeout() and host.setInterval()'],
  [/\bAbortSignal\s*\.\s*timeout\b/, 'host.setTimeout()'],
  [/(?<![.\w])eval\s*\(|\bnew\s+Function\b/, 'code that stands in the files'],
  [/from\s+['"]node:(timers|perf_hooks|child_process|cluster|worker_threads)/, 'host'],
];

/** Where the sources of a driver use something else than their DriverHost, in words. */
export function foreignUses(folder: string, module: string): string[] {
  const found: string[] = [];
  const seen = new Set<string>();
  const visit = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    const name = path.relative(folder, file);
    const text = readFileSync(file, 'utf8');
    const code = withoutComments(text);
    for (const [index, line] of code.split('\n').entries()) {
      for (const [pattern, instead] of forbidden) {
        if (pattern.test(line)) found.push(`${name}:${index + 1}: ${line.trim()} (use ${instead})`);
      }
    }
    for (const { groups } of code.matchAll(importStatement)) {
      const target = groups?.target ?? groups?.dynamic ?? '';
      if (groups?.type !== undefined) continue;
      if (target.startsWith('.')) {
        const next = path.resolve(path.dirname(file), target);
        if (!next.startsWith(folder + path.sep)) found.push(`${name}: ${target} is outside`);
        else if (/\.(ts|js|mjs)$/.test(next) && existsSync(next)) visit(next);
      } else if (target.startsWith('#')) {
        found.push(`${name}: takes code from ${target}; only "import type" is possible`);
      } else if (!target.startsWith('node:') && builtinModules.includes(target)) {
        found.push(`${name}: write node:${target}`);
      }
    }
  };
  visit(path.resolve(folder, module));
  return found;
}

/** Comments become blanks, so that the lines keep their numbers. */
function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[^:'"`\\])\/\/.*$/gm, '$1');
}
