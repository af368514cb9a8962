/**
 * The Debian packages that the rig is made of, in the cache: fetched once, and known by the hash of what was fetched.
 */

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';

import type { Emit } from '../../util/rig-event.ts';
import { systemArchive } from './apt-root.ts';
import { runBuildCommand } from '../tree/build-command.ts';
import { hasEntry, obtainEntry } from '../../cache/cache-entry.ts';
import type { EntryWork } from '../../cache/cache-entry.ts';
import { contentKey } from '../../cache/content-key.ts';
import { requireSpace } from '../../cache/disk-space.ts';
import { fetchedLine, fetchedPackage, fetchPackages, withoutEpoch } from './package-search.ts';
import type { FetchedPackage } from './package-search.ts';
import { loadPackageSources, wantedBinaries } from './package-sources.ts';
import type { BinaryName, SourceName, WantedPackage } from './package-sources.ts';

export interface DebianPackage {
  /** Debian's version, without epoch. */
  readonly version: string;
  /** The .dsc or .deb. */
  readonly file: string;
  /** SHA-256 of that file: of two machines with the same one it is known that they build the same sources. */
  readonly identity: string;
}

export interface DebianPackages {
  readonly binaries: Readonly<Record<BinaryName, DebianPackage>>;
  /** Fetched when it is asked for: who gives a tree of their own needs none of Debian's. */
  readonly source: (name: SourceName) => Promise<DebianPackage>;
}

const TITLES: Readonly<Record<SourceName, string>> = { linux: 'Linux', qemu: 'QEMU', seabios: 'SeaBIOS' };

export async function fetchDebianPackages(emit: Emit, signal: AbortSignal): Promise<DebianPackages> {
  const { sources, binaries } = await loadPackageSources();
  const names = Object.keys(binaries) as BinaryName[];
  const asked = new Map<SourceName, Promise<DebianPackage>>();
  const obtainSource = async (name: SourceName): Promise<DebianPackage> => {
    const title = `Fetch the source of ${TITLES[name]} from Debian`;
    const [source] = await obtainPackages(title, [sources[name]], emit, signal);
    // As many come back as are wanted.
    if (source === undefined) throw new Error(`there is no source of ${name}`);
    return source;
  };
  const fetched = await obtainPackages('Fetch packages from Debian', wantedBinaries(binaries), emit, signal);
  return {
    binaries: Object.fromEntries(names.map((name, index) => [name, fetched[index]])) as Record<
      BinaryName,
      DebianPackage
    >,
    source: async (name) => {
      const source = asked.get(name) ?? obtainSource(name);
      asked.set(name, source);
      return source;
    },
  };
}

/** Whether there is nothing to fetch but sources, which who gives a tree of their own does not need. */
export async function hasDebianPackages(): Promise<boolean> {
  const { binaries } = await loadPackageSources();
  return hasEntry({ stage: STAGE, key: packagesKey(wantedBinaries(binaries)) });
}

const STAGE = 'packages';

function packagesKey(wanted: readonly WantedPackage[]): string {
  const parts = wanted.map(({ name, kind, suite, version }) => JSON.stringify([name, kind, suite, version]));
  return contentKey({ packages: parts });
}

/** What was fetched, in the order of `wanted`. */
export async function obtainPackages(
  title: string,
  wanted: readonly WantedPackage[],
  emit: Emit,
  signal: AbortSignal,
): Promise<DebianPackage[]> {
  const build = async (work: EntryWork): Promise<void> => {
    const fetched = await download(wanted, work);
    for (const text of fetched.flatMap(substitution)) emit({ type: 'notice', text });
    await writeFile(path.join(work.folder, RECORD), JSON.stringify(fetched, undefined, 2));
  };
  const folder = await obtainEntry({ stage: STAGE, title, key: packagesKey(wanted), build }, emit, signal);
  const record = z.array(fetchedPackage).parse(JSON.parse(await readFile(path.join(folder, RECORD), 'utf8')));
  return wanted.flatMap(({ name }) => {
    const found = record.find((candidate) => candidate.name === name);
    if (!found) return [];
    return { version: withoutEpoch(found.version), file: path.join(folder, found.file), identity: found.sha256 };
  });
}

/** In the entry, beside the files. */
const RECORD = 'packages.json';

async function download(
  wanted: readonly WantedPackage[],
  { folder, step, signal, log }: EntryWork,
): Promise<FetchedPackage[]> {
  const onLine = fetchedLine(step);
  await requireSpace(1, 'Fetching the packages from Debian');
  const { order } = await loadPackageSources();
  return fetchPackages(wanted, { order, system: await systemArchive(), folder, log, signal, onLine });
}

/** Not from where it was expected: that may be another version, and says something about the network. */
function substitution({ name, version, from, notFrom }: FetchedPackage): string[] {
  if (notFrom.length === 0) return [];
  return [`${name} ${version} comes from ${from}, since it could not be had from ${notFrom.join(', ')}.`];
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
