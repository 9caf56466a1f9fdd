import { releaseVersion } from '../gateway/release.ts';
import type { Context } from './context.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';

/** `riser version`: of the program that was called; "riser status" has that of the daemon. */
export async function version({ out, json }: Context): Promise<ExitCode> {
  const release = releaseVersion();
  const { version: node, platform, arch } = process;
  if (json) await out.json('riser.version/1', { version: release, node, platform, arch });
  else await out.line(`riser ${release}  node ${node}  ${platform} ${arch}`);
  return exitCodes.ok;
}
