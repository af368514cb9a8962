/** Debian's virtme-ng, to measure against: unpacked in the cache, never installed. */
import type { Emit } from '../../util/rig-event.ts';
import { obtainEntry } from '../../cache/cache-entry.ts';
import { contentKey } from '../../cache/content-key.ts';
import { extractDeb, obtainPackages } from './debian-packages.ts';
import { loadPackageSources, wantedBinaries } from './package-sources.ts';

/** The folder that it is unpacked in, as if that were the root. */
export async function obtainVirtmeNg(emit: Emit, signal: AbortSignal): Promise<string> {
  const { bench } = await loadPackageSources();
  const packages = await obtainPackages('Fetch virtme-ng from Debian', wantedBinaries(bench), emit, signal);
  const key = contentKey({ packages: packages.map(({ identity }) => identity) });
  const build = async (work: { folder: string; log: string; signal: AbortSignal }): Promise<void> => {
    for (const { file } of packages) await extractDeb(file, work.folder, work);
  };
  return obtainEntry({ stage: 'virtme-ng', title: 'Unpack virtme-ng', key, build }, emit, signal);
}
