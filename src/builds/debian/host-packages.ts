/** The Debian packages that the host itself needs for the builds. */

import { execa } from 'execa';

import { RigError } from '../../util/rig-error.ts';
import type { Emit } from '../../util/rig-event.ts';
import { runStep } from '../../util/step.ts';
import { runBuildCommand } from '../tree/build-command.ts';
import { buildEnvironment } from '../tree/build-environment.ts';
import { cacheDirectory } from '../../config/paths.ts';
import path from 'node:path';

const HOST_PACKAGES: readonly string[] = [
  // All builds
  'build-essential',
  'flex',
  'bison',
  'git',
  'dpkg-dev',
  'xz-utils',
  'python3',
  'rsync',
  // The kernel
  'bc',
  'kmod',
  'libelf-dev',
  // QEMU
  'ninja-build',
  'pkg-config',
  'python3-venv',
  'libglib2.0-dev',
  'libpixman-1-dev',
  'libslirp-dev',
  'libfdt-dev',
  'libseccomp-dev',
  'libspice-server-dev',
  'zlib1g-dev',
];

/** Those of `wanted` that are not installed. */
export async function missingHostPackages(wanted = HOST_PACKAGES): Promise<string[]> {
  const result = await execa('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...wanted], {
    env: buildEnvironment(),
    extendEnv: false,
    reject: false,
  });
  if (result.code === 'ENOENT') {
    throw new RigError('infrastructure', 'This is not a Debian machine: there is no dpkg-query.', {
      remedy: 'Run the rig on Debian 12 or later.',
    });
  }
  const installed = new Set(
    result.stdout.split('\n').flatMap((line) => (line.endsWith(' installed') ? [line.split(' ')[0]] : [])),
  );
  return wanted.filter((name) => !installed.has(name));
}

/** The one command that installs `packages`, as a person would type it. */
export function installCommand(packages: readonly string[]): string {
  return `sudo apt-get install --no-install-recommends ${packages.join(' ')}`;
}

export async function ensureHostPackages(emit: Emit, signal: AbortSignal): Promise<void> {
  await runStep(emit, { id: 'host-packages', title: 'Host packages', signal }, async ({ progress }) => {
    const missing = await missingHostPackages();
    if (missing.length === 0) return { outcome: 'cached', value: undefined };
    if (process.getuid?.() !== 0) {
      throw new RigError('infrastructure', `Packages are missing on this machine: ${missing.join(' ')}`, {
        remedy: installCommand(missing),
      });
    }
    await installPackages(missing, progress, signal);
    return { outcome: 'done', value: undefined };
  });
}

/** Only root can. */
export async function installPackages(
  packages: readonly string[],
  progress: (detail: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const run = async (what: string, argv: readonly [string, ...string[]]): Promise<void> =>
    runBuildCommand({
      what,
      argv,
      cwd: '/',
      env: { DEBIAN_FRONTEND: 'noninteractive' },
      log: path.join(cacheDirectory(), 'logs/host-packages.log'),
      signal,
      onLine: (line) => {
        if (/^(Get|Unpacking|Setting up)/.test(line)) progress(line);
      },
    });
  await run('Reading the package lists of this machine', ['apt-get', '-q', 'update']);
  // Another apt-get may be at work on a fresh machine (unattended-upgrades): wait for it.
  const options = ['-q', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300'];
  await run('Installing host packages', ['apt-get', ...options, 'install', ...packages]);
}
