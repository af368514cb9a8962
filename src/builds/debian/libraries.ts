/**
 * What programs for the guest's Debian userland are compiled with: that release's C library, the libraries that the
 * kernel's self-tests want, and the headers of both.
 */
import type { Emit } from '../../util/rig-event.ts';
import { loadPackageSources } from './package-sources.ts';
import { obtainUnpacked } from './unpacked-packages.ts';

interface Libraries {
  /** For gcc's --sysroot. */
  readonly root: string;
  /** Which they are, with their versions. */
  readonly packages: readonly string[];
  /** What a userland needs for these programs to start. */
  readonly install: readonly string[];
}

export async function obtainLibraries(emit: Emit, signal: AbortSignal): Promise<Libraries> {
  const { kselftest: wanted } = await loadPackageSources();
  const spec = { stage: 'libraries', title: 'Fetch libraries for the self-tests from Debian', wanted };
  const unpacked = await obtainUnpacked(spec, emit, signal);
  return { ...unpacked, install: packagesAtRunTime(unpacked.packages) };
}

/** Of files as apt names them. */
export function packagesAtRunTime(files: readonly string[]): string[] {
  return files.map((file) => file.split('_', 1)[0] ?? '').filter((name) => !name.endsWith('-dev'));
}
