/** The Debian packages that the host itself needs for the builds. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { execa } from 'execa';

import { RigError } from '../../util/rig-error.ts';
import type { Emit } from '../../util/rig-event.ts';
import { runStep } from '../../util/step.ts';
import { runBuildCommand } from '../tree/build-command.ts';
import { buildEnvironment } from '../tree/build-environment.ts';
import { cacheDirectory, repositoryPath } from '../../config/paths.ts';

/** Of a list that a Debian userland is made with, too, where no node has run yet. */
async function hostPackages(): Promise<string[]> {
  const text = await readFile(repositoryPath('src/userland/host-packages.txt'), 'utf8');
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

/** Those of these, or of all that the builds need, that are not installed. */
export async function missingHostPackages(those?: readonly string[]): Promise<string[]> {
  const wanted = those ?? (await hostPackages());
  const result = await execa('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...wanted], {
    env: buildEnvironment(),
    extendEnv: false,
    reject: false,
  });
  if (result.code === 'ENOENT') {
    throw new RigError('infrastructure', 'There is no dpkg-query here, which Debian has.', {
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
