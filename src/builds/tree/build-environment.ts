/** What build tools may see of the caller's environment, and which compiler they will find in it. */

import { release, arch } from 'node:os';
import { readFile } from 'node:fs/promises';
import { execa } from 'execa';

import { RigError } from '../../util/rig-error.ts';

// Anything else (CFLAGS, MAKEFLAGS, ARCH, KBUILD_*, …) would change a build without changing its cache key.
const PASSED_ON = /^(HOME|USER|LOGNAME|TMPDIR|APT_CONFIG|(http|https|ftp|all|no)_proxy)$/i;

export function buildEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const passed = Object.entries(process.env).flatMap(([name, value]) =>
    value !== undefined && PASSED_ON.test(name) ? [[name, value] as const] : [],
  );
  return {
    ...Object.fromEntries(passed),
    LC_ALL: 'C.UTF-8',
    // depmod and others are in sbin, which an ordinary user's PATH lacks.
    PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`,
    ...extra,
  };
}

/** Goes into cache keys: what the tools of this machine make of the same sources. */
export async function toolchainIdentity(): Promise<string> {
  const [gcc, ld, system] = await Promise.all([
    firstLine(['gcc', '--version']),
    firstLine(['ld', '--version']),
    readFile('/etc/os-release', 'utf8').catch(() => release()),
  ]);
  const version = /^VERSION_ID=.*$/m.exec(system)?.[0] ?? '';
  return [arch(), gcc, ld, version].join('\n');
}

async function firstLine([command, ...args]: readonly [string, ...string[]]): Promise<string> {
  const result = await execa(command, args, { env: buildEnvironment(), extendEnv: false, reject: false });
  if (!result.failed) return result.stdout.split('\n', 1)[0] ?? '';
  throw new RigError('infrastructure', `${command} does not run: ${result.shortMessage}`, {
    remedy: './dgpu-rig doctor names the packages that are missing.',
  });
}
