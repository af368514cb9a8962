/** Packages of the userland's release with all that they need, unpacked in the cache as if that were the root. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { withBuildLock } from '../../cache/build-lock.ts';
import { obtainEntry, type EntryWork } from '../../cache/cache-entry.ts';
import { contentKey } from '../../cache/content-key.ts';
import { requireSpace } from '../../cache/disk-space.ts';
import type { Emit } from '../../util/rig-event.ts';
import { systemArchive } from './apt-root.ts';
import { extractDeb } from './debian-packages.ts';
import { fetchedLine, openSuite } from './package-search.ts';
import { loadPackageSources } from './package-sources.ts';

interface UnpackedSpec {
  /** The folder below the cache. */
  readonly stage: string;
  readonly title: string;
  /** By their names. */
  readonly wanted: readonly string[];
}

interface Unpacked {
  readonly root: string;
  /** The files that it was unpacked from, whose names have their versions. */
  readonly packages: readonly string[];
}

const ROOT = 'root';
const LIST = 'packages.txt';

export async function obtainUnpacked(spec: UnpackedSpec, emit: Emit, signal: AbortSignal): Promise<Unpacked> {
  const { stage, title, wanted } = spec;
  const { userland: suite, order } = await loadPackageSources();
  const build = async (work: EntryWork): Promise<void> => {
    await requireSpace(1, 'Unpacking packages of Debian');
    const { log, step } = work;
    const scratch = await mkdtemp(path.join(work.folder, 'scratch-'));
    const run = { order, system: await systemArchive(), folder: scratch, log, signal: work.signal };
    const lock = { name: 'packages', signal: work.signal, onWait: () => step.progress('waiting for another rig') };
    await withBuildLock(lock, async () => {
      const options = { ...run, onLine: fetchedLine(step) };
      await (await openSuite(suite, options)).downloadAll(wanted, scratch);
    });
    const root = path.join(work.folder, ROOT);
    // As base-files has it, of which nothing else is needed.
    for (const name of ['lib', 'lib64']) {
      await mkdir(path.join(root, 'usr', name), { recursive: true });
      await symlink(`usr/${name}`, path.join(root, name));
    }
    const packages = (await readdir(scratch)).filter((file) => file.endsWith('.deb')).sort();
    for (const file of packages) await extractDeb(path.join(scratch, file), root, work);
    await rm(path.join(root, 'usr/share/doc'), { recursive: true, force: true });
    await writeFile(path.join(work.folder, LIST), packages.map((file) => `${file}\n`).join(''));
    await rm(scratch, { recursive: true });
  };
  const key = contentKey({ suite, packages: wanted });
  const folder = await obtainEntry({ stage, title, key, build }, emit, signal);
  const packages = (await readFile(path.join(folder, LIST), 'utf8')).trimEnd().split('\n');
  return { root: path.join(folder, ROOT), packages };
}
