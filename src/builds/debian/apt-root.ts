/** A private apt root: Debian's newer suites with apt's own verification, while the host's apt stays as it is. */

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { cacheDirectory } from '../../config/paths.ts';
import { RigError } from '../../util/rig-error.ts';
import { findArchive, formatSources } from './apt-sources.ts';
import type { AptArchive } from './apt-sources.ts';
import { runBuildCommand } from '../tree/build-command.ts';

const SUITES = ['trixie', 'trixie-backports'];

export interface AptRoot {
  /** Runs an apt command in `cwd` against the private root. */
  readonly run: (what: string, argv: readonly [string, ...string[]], cwd: string) => Promise<void>;
}

export interface AptRun {
  readonly log: string;
  readonly signal: AbortSignal;
  readonly onLine: (line: string) => void;
}

export async function openAptRoot(run: AptRun): Promise<AptRoot> {
  const root = path.join(cacheDirectory(), 'apt');
  const archive = await systemArchive();
  for (const folder of ['etc/sources.list.d', 'etc/preferences.d', 'state/lists/partial', 'cache/archives/partial']) {
    await mkdir(path.join(root, folder), { recursive: true });
  }
  await writeFile(path.join(root, 'etc/sources.list.d/rig.sources'), formatSources(archive, SUITES));
  await writeFile(path.join(root, 'state/status'), '');
  const config = path.join(root, 'etc/apt.conf');
  await writeFile(config, aptConfig(root));
  return {
    run: (what, [command, ...args], cwd) =>
      runBuildCommand({ what, argv: [command, `--config-file=${config}`, ...args], cwd, ...run }),
  };
}

/** Read after the system's configuration, so that its proxies, credentials and checks hold here, too. */
function aptConfig(root: string): string {
  return `${[
    `Dir::Etc::SourceList "/dev/null";`,
    `Dir::Etc::SourceParts "${root}/etc/sources.list.d";`,
    `Dir::Etc::Preferences "/dev/null";`,
    `Dir::Etc::PreferencesParts "${root}/etc/preferences.d";`,
    `Dir::State "${root}/state";`,
    `Dir::State::Lists "${root}/state/lists";`,
    `Dir::State::status "${root}/state/status";`,
    `Dir::Cache "${root}/cache";`,
    `Dir::Cache::Archives "${root}/cache/archives";`,
    'Dir::Cache::pkgcache "pkgcache.bin";',
    'Dir::Cache::srcpkgcache "srcpkgcache.bin";',
    // The user _apt can't enter a cache below somebody's home; apt verifies what it got either way.
    'APT::Sandbox::User "root";',
    'APT::Architecture "amd64";',
    'APT::Architectures { "amd64"; };',
    'Acquire::Languages "none";',
    'Acquire::Retries "3";',
    'Acquire::http::Timeout "30";',
    'Acquire::https::Timeout "30";',
    // Hooks of the host are for the host's packages.
    '#clear APT::Update::Pre-Invoke;',
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    '#clear DPkg::Pre-Install-Pkgs;',
    '#clear DPkg::Post-Invoke;',
  ].join('\n')}\n`;
}

async function systemArchive(): Promise<AptArchive> {
  const system = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(system)?.[1] ?? 'sid';
  const archive = /^ID=debian$/m.test(system) ? findArchive(await sourceFiles(), codename) : undefined;
  if (archive) return archive;
  throw new RigError('infrastructure', 'This machine has no apt sources of Debian, from which the rig gets its own.', {
    remedy: 'Run the rig on Debian 12 or later, with a source for its main archive in /etc/apt.',
  });
}

async function sourceFiles(): Promise<{ name: string; text: string }[]> {
  const folder = '/etc/apt/sources.list.d';
  const parts = (await readdir(folder).catch(() => [])).filter((name) => /\.(list|sources)$/.test(name)).sort();
  const names = ['/etc/apt/sources.list', ...parts.map((name) => path.join(folder, name))];
  return Promise.all(names.map(async (name) => ({ name, text: await readFile(name, 'utf8').catch(() => '') })));
}
