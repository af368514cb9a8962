/** A private apt root for one suite of an archive, with apt's own verification, while the host's apt stays as it is. */

import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { cacheDirectory } from '../../config/paths.ts';
import { RigError } from '../../util/rig-error.ts';
import { contentKey } from '../../cache/content-key.ts';
import { findArchive, formatSources } from './apt-sources.ts';
import type { AptArchive, AptSuite } from './apt-sources.ts';
import { runBuildCommand } from '../tree/build-command.ts';
import type { WantedPackage } from './package-sources.ts';

export interface AptRoot {
  /** All that the suite has of these. */
  readonly offers: (packages: readonly WantedPackage[]) => Promise<Offer[]>;
  readonly download: (offers: readonly Offer[], folder: string) => Promise<void>;
  /** Binary packages by names or patterns of apt's, each with all that it depends on. */
  readonly downloadAll: (packages: readonly string[], folder: string) => Promise<void>;
  /** Of all packages that there are. */
  readonly names: () => Promise<string[]>;
}

export interface Offer extends Pick<WantedPackage, 'name' | 'kind'> {
  /** With its epoch. */
  readonly version: string;
}

export interface AptRun {
  readonly log: string;
  readonly signal: AbortSignal;
  readonly onLine: (line: string) => void;
}

/**
 * Reads the lists of the suite; fails with apt's reason where they can't be had or are not signed by the archive's key.
 */
export async function openAptRoot(suite: AptSuite, run: AptRun): Promise<AptRoot> {
  const root = path.join(cacheDirectory(), 'apt', contentKey({ sources: formatSources(suite) }));
  const config = await configure(root, suite);
  const apt = async (what: string, command: string, args: readonly string[], other = {}): Promise<void> =>
    runBuildCommand({ what, argv: [command, `--config-file=${config}`, ...args], cwd: root, ...run, ...other });
  const updated = path.join(root, 'updated');
  if (!(await youngerThan(UPDATE_MS, updated))) {
    const lines: string[] = [];
    const onLine = (line: string): void => {
      lines.push(line);
      run.onLine(line);
    };
    try {
      await apt(`Reading the lists of ${suite.name}`, 'apt-get', ['--error-on=any', '-q', 'update'], { onLine });
    } catch (cause) {
      run.signal.throwIfAborted();
      throw new RigError('infrastructure', updateFault(lines), { cause });
    }
    await writeFile(updated, '');
  }
  return {
    offers: async (packages) => {
      const table: string[] = [];
      const names = [...new Set(packages.map(({ name }) => name))];
      const onRow = (line: string): number => table.push(line);
      await apt('Looking for packages', 'apt-cache', ['madison', ...names], { onLine: onRow });
      return parseMadison(table);
    },
    downloadAll: async (packages, folder) => {
      await mkdir(path.join(folder, 'partial'), { recursive: true });
      const into = ['-q', '-y', '--download-only', '--no-install-recommends', '-o', `Dir::Cache::Archives=${folder}`];
      await apt('Fetching from Debian', 'apt-get', [...into, 'install', ...packages]);
    },
    names: async () => {
      const all: string[] = [];
      await apt('Listing the packages', 'apt-cache', ['pkgnames'], { onLine: (name: string) => all.push(name) });
      return all;
    },
    download: async (offers, folder) => {
      for (const [kind, how] of Object.entries(DOWNLOAD)) {
        const wanted = offers.filter((offer) => offer.kind === kind).map(({ name, version }) => `${name}=${version}`);
        if (wanted.length > 0) await apt('Fetching from Debian', 'apt-get', ['-q', ...how, ...wanted], { cwd: folder });
      }
    },
  };
}

const DOWNLOAD: Readonly<Record<WantedPackage['kind'], readonly string[]>> = {
  source: ['source', '--download-only', '--only-source'],
  binary: ['download'],
};

/** Lists of archives that have not been asked for long, and what older rigs left. */
async function removeUnused(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (await youngerThan(UNUSED_MS, path.join(folder, name, CONFIG))) continue;
    await rm(path.join(folder, name), { recursive: true, force: true });
  }
}

const CONFIG = 'etc/apt.conf';
const UNUSED_MS = 3 * 24 * 3600 * 1000;

/**
 * For so long the lists of an archive are taken to be up to date: the packages of one set-up are fetched one after the
 * other.
 */
const UPDATE_MS = 10 * 60_000;

async function youngerThan(milliseconds: number, file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs < milliseconds;
}

async function configure(root: string, suite: AptSuite): Promise<string> {
  await removeUnused(path.dirname(root));
  for (const folder of ['etc/sources.list.d', 'etc/preferences.d', 'state/lists/partial', 'cache/archives/partial']) {
    await mkdir(path.join(root, folder), { recursive: true });
  }
  await writeFile(path.join(root, 'etc/sources.list.d/rig.sources'), formatSources(suite));
  await writeFile(path.join(root, 'state/status'), '');
  const config = path.join(root, CONFIG);
  await writeFile(config, aptConfig(root));
  return config;
}

/** "name | version | archive suite/component what": a source package, or a binary one. */
function parseMadison(lines: readonly string[]): Offer[] {
  return lines.flatMap((line) => {
    const [name, version, where] = line.split(' | ').map((field) => field.trim());
    if (name === undefined || version === undefined || where === undefined) return [];
    return [{ name, version, kind: where.endsWith(' Sources') ? 'source' : 'binary' } as const];
  });
}

/**
 * What apt says about signatures counts most; then why a file could not be had, which it says in the line after "Err".
 */
export function updateFault(lines: readonly string[]): string {
  const signature = lines.find((line) => /GPG error|not signed|not valid yet|expired/.test(line));
  const failed = lines.findIndex((line) => line.startsWith('Err:'));
  const reason =
    signature ?? (failed < 0 ? undefined : lines[failed + 1]) ?? lines.find((line) => /^[EW]: /.test(line));
  return (reason ?? 'apt did not say why').replace(/^[EW]: /, '').trim();
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

/** Where the system gets Debian itself from. */
export async function systemArchive(): Promise<AptArchive> {
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
