/**
 * A Debian userland for the guest: packages with all that they need, unpacked and never installed, as the image of a
 * disk. In the cache, by what was asked for; the image then stays as it is while Debian moves on.
 */
import { access, copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { withBuildLock } from '../../cache/build-lock.ts';
import { obtainEntry, type EntryWork } from '../../cache/cache-entry.ts';
import { contentKey } from '../../cache/content-key.ts';
import { requireSpace } from '../../cache/disk-space.ts';
import { didYouMean } from '../../util/nearest-names.ts';
import { RigError } from '../../util/rig-error.ts';
import type { Emit } from '../../util/rig-event.ts';
import { runBuildCommand } from '../tree/build-command.ts';
import { systemArchive, type AptRoot } from './apt-root.ts';
import { extractDeb } from './debian-packages.ts';
import { fetchedLine, openSuite, type SearchOptions } from './package-search.ts';
import { loadPackageSources } from './package-sources.ts';

/** What a shell and its programs take for granted, and what makes the image. */
const ALWAYS: readonly string[] = ['?essential', 'mount', 'kmod', 'procps', 'erofs-utils'];

/** What no program reads. */
const UNREAD: readonly string[] = ['doc', 'man', 'info', 'locale', 'lintian', 'bug'].map((name) => `usr/share/${name}`);

/** The guest's own, which are mounted over these. */
const FROM_GUEST = { folder: 'usr/lib/modules', file: 'usr/bin/edgpu-stress' };

/** What packages do while they are installed, which these are not: links where there are several to choose from. */
const LINKS: Readonly<Record<string, string>> = { awk: 'mawk', which: 'which.debianutils', cc: 'gcc', vi: 'vim.basic' };

/** Counted up when the same packages become another image. */
const FORMAT = '1';

const LIBRARIES = 'usr/lib/x86_64-linux-gnu';

/** Returns the image, the content of a disk; what is wrong with the names is told before anything is fetched. */
export async function obtainUserland(install: readonly string[], emit: Emit, signal: AbortSignal): Promise<string> {
  const { userland: suite, order } = await loadPackageSources();
  const packages = [...new Set(install)].sort();
  const key = contentKey({ packages, always: ALWAYS, suite, format: FORMAT });
  const build = async (work: EntryWork): Promise<void> => {
    await requireSpace(3, 'A Debian userland for the guest');
    const scratch = await mkdtemp(path.join(work.folder, 'scratch-'));
    const { log, step } = work;
    const onLine = fetchedLine(step);
    const run = { order, system: await systemArchive(), folder: scratch, log, signal: work.signal, onLine };
    const lock = { name: 'packages', signal: work.signal, onWait: () => step.progress('waiting for another rig') };
    await withBuildLock(lock, () => fetchUserland(packages, suite, run));
    await makeImage(scratch, work);
    await rm(scratch, { recursive: true });
  };
  const spec = { stage: 'userland', title: 'Make a Debian userland for the guest', key, build };
  return path.join(await obtainEntry(spec, emit, signal), IMAGE);
}

/** From the first archive that answers. */
export async function fetchUserland(packages: readonly string[], suite: string, options: SearchOptions): Promise<void> {
  const root = await openSuite(suite, options);
  await refuseMissing(packages, suite, root);
  await root.downloadAll([...ALWAYS, ...packages], options.folder);
}

async function refuseMissing(packages: readonly string[], suite: string, root: AptRoot): Promise<void> {
  const wanted = packages.map((name) => ({ name, kind: 'binary', suite }) as const);
  const offered = (await root.offers(wanted)).filter(({ kind }) => kind === 'binary').map(({ name }) => name);
  const missing = packages.filter((name) => !offered.includes(name));
  if (missing.length === 0) return;
  const names = await root.names();
  const near = missing.flatMap((name) => didYouMean(name, names) ?? []);
  throw new RigError('usage', `--install: ${suite} of Debian has no package ${missing.join(' and no ')}.`, {
    remedy: [...near, 'https://packages.debian.org says which there are, and which has a certain file.'].join(' '),
  });
}

async function makeImage(folder: string, work: EntryWork): Promise<void> {
  const { log, signal, step } = work;
  const root = path.join(folder, 'root');
  await mkdir(root);
  const packages = (await readdir(folder)).filter((file) => file.endsWith('.deb'));
  // What /bin and /lib are is in this one.
  const isFirst = (file: string): boolean => file.startsWith('base-files_');
  for (const file of [...packages.filter(isFirst), ...packages.filter((name) => !isFirst(name))]) {
    step.progress(file);
    await extractDeb(path.join(folder, file), root, work);
  }
  await complete(root);
  step.progress('making the image');
  const loader = path.join(root, LIBRARIES, 'ld-linux-x86-64.so.2');
  const program = [
    loader,
    '--library-path',
    path.join(root, LIBRARIES),
    path.join(root, 'usr/bin/mkfs.erofs'),
  ] as const;
  // Not compressed: TCG would decompress it slowly, and the host's page cache has it anyway.
  const options = ['-T0', '-x-1', '--all-root', '--quiet'];
  const argv = [...program, ...options, path.join(work.folder, IMAGE), root] as const;
  await runBuildCommand({ what: 'Making the image of the userland', argv, cwd: folder, log, signal });
  await writeFile(path.join(work.folder, 'packages.txt'), packages.map((file) => `${file}\n`).join(''));
}

async function complete(root: string): Promise<void> {
  for (const name of UNREAD) await rm(path.join(root, name), { recursive: true, force: true });
  await mkdir(path.join(root, FROM_GUEST.folder), { recursive: true });
  await writeFile(path.join(root, FROM_GUEST.file), '');
  for (const name of ['passwd', 'group']) {
    await copyFile(path.join(root, `usr/share/base-passwd/${name}.master`), path.join(root, 'etc', name));
  }
  for (const [link, target] of Object.entries(LINKS)) {
    if (await exists(path.join(root, 'usr/bin', target))) await symlink(target, path.join(root, 'usr/bin', link));
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

const IMAGE = 'debian.erofs';
