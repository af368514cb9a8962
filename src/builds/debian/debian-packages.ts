/** The Debian packages that the rig is made of, fetched and verified by apt: our pins, and what they resolved to. */

import { readdir } from 'node:fs/promises';
import path from 'node:path';

import type { Emit } from '../../util/rig-event.ts';
import { openAptRoot } from './apt-root.ts';
import { runBuildCommand } from '../tree/build-command.ts';
import { obtainEntry } from '../../cache/cache-entry.ts';
import type { EntryWork } from '../../cache/cache-entry.ts';
import { contentKey } from '../../cache/content-key.ts';
import { requireSpace } from '../../cache/disk-space.ts';

/** Source packages, each of a suite: their versions move only within the stable release. */
const SOURCES = { qemu: 'trixie', seabios: 'trixie' } as const;

/** Binary packages: build tools that the host may have too old, firmware, the guest's userland, the kernel's source. */
const BINARIES = {
  meson: 'trixie',
  'python3-pycotap': 'trixie',
  'qemu-system-data': 'trixie',
  'busybox-static': 'trixie',
  'dropbear-bin': 'trixie',
  libc6: 'trixie',
  libcrypt1: 'trixie',
  libgmp10: 'trixie',
  libtomcrypt1: 'trixie',
  libtommath1: 'trixie',
  zlib1g: 'trixie',
  'linux-source-7.3': 'trixie-backports',
} as const;

export type SourceName = keyof typeof SOURCES;
export type BinaryName = keyof typeof BINARIES;

export interface DebianPackage {
  /** Debian's version, without epoch. */
  readonly version: string;
  /** The .dsc or .deb. */
  readonly file: string;
  /** Name and full version: Debian never changes a package without changing its version. */
  readonly identity: string;
}

export interface DebianPackages {
  readonly sources: Readonly<Record<SourceName, DebianPackage>>;
  readonly binaries: Readonly<Record<BinaryName, DebianPackage>>;
}

export async function fetchDebianPackages(emit: Emit, signal: AbortSignal): Promise<DebianPackages> {
  const folder = await obtainEntry(
    {
      stage: 'packages',
      title: 'Fetch sources and packages from Debian',
      key: contentKey({ sources: JSON.stringify(SOURCES), binaries: JSON.stringify(BINARIES) }),
      build: download,
    },
    emit,
    signal,
  );
  const files = await readdir(folder);
  const pick = (name: string, suffix: string): DebianPackage => describePackage(folder, files, name, suffix);
  return {
    sources: mapNames(SOURCES, (name) => pick(name, '.dsc')),
    binaries: mapNames(BINARIES, (name) => pick(name, '.deb')),
  };
}

async function download({ folder, step, signal, log }: EntryWork): Promise<void> {
  const onLine = (line: string): void => {
    const [, what] = /^Get:\d+ \S+ (.+)$/.exec(line) ?? [];
    if (what !== undefined) step.progress(what);
  };
  await requireSpace(1, 'Fetching the packages from Debian');
  const apt = await openAptRoot({ log, signal, onLine });
  await apt.run('Reading the package lists of Debian', ['apt-get', '--error-on=any', '-q', 'update'], folder);
  const sources = Object.entries(SOURCES).map(([name, suite]) => `${name}/${suite}`);
  const binaries = Object.entries(BINARIES).map(([name, suite]) => `${name}/${suite}`);
  await apt.run('Fetching sources from Debian', ['apt-get', '-q', 'source', '--download-only', ...sources], folder);
  await apt.run('Fetching packages from Debian', ['apt-get', '-q', 'download', ...binaries], folder);
}

function mapNames<Name extends string, T>(
  names: Readonly<Record<Name, string>>,
  make: (name: Name) => T,
): Record<Name, T> {
  // Object.keys forgets the type of the keys; they are those of `names`, as no object here has more than its type says.
  return Object.fromEntries((Object.keys(names) as Name[]).map((name) => [name, make(name)])) as Record<Name, T>;
}

/** apt writes an epoch's colon as %3a. */
function describePackage(folder: string, files: readonly string[], name: string, suffix: string): DebianPackage {
  const file = files.find((candidate) => candidate.startsWith(`${name}_`) && candidate.endsWith(suffix));
  // The entry's own check has just passed, and a download that leaves something out fails.
  if (file === undefined) throw new Error(`apt delivered no ${name}*${suffix}`);
  const [, version = ''] = file.slice(0, -suffix.length).split('_');
  return { version: version.replace(/^\d+%3a/, ''), file: path.join(folder, file), identity: file };
}

/** Unpacks a .deb as files; nothing is installed. */
export async function extractDeb(
  deb: string,
  folder: string,
  { log, signal }: Pick<EntryWork, 'log' | 'signal'>,
): Promise<void> {
  const argv = ['dpkg-deb', '-x', deb, folder] as const;
  await runBuildCommand({ what: `Unpacking ${path.basename(deb)}`, argv, cwd: folder, log, signal });
}
