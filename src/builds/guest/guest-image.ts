/** The guest's initramfs: busybox and dropbear from Debian, our init, the kernel's modules, the stress program. */

import { mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

import { repositoryPath } from '../../config/paths.ts';
import type { Emit } from '../../util/rig-event.ts';
import { runBuildCommand } from '../tree/build-command.ts';
import { toolchainIdentity } from '../tree/build-environment.ts';
import { obtainEntry } from '../../cache/cache-entry.ts';
import type { EntryWork } from '../../cache/cache-entry.ts';
import { contentKey, folderKey } from '../../cache/content-key.ts';
import { padTo, writeCpio } from './cpio.ts';
import type { CpioEntry } from './cpio.ts';
import { extractDeb } from '../debian/debian-packages.ts';
import type { DebianPackages } from '../debian/debian-packages.ts';
import type { BinaryName } from '../debian/package-sources.ts';
import type { KernelBuild } from '../kernel/kernel-build.ts';

const USERLAND: readonly BinaryName[] = [
  'busybox-static',
  'dropbear-bin',
  'libc6',
  'libcrypt1',
  'libgmp10',
  'libtomcrypt1',
  'libtommath1',
  'zlib1g',
];

const LIBRARIES = '/usr/lib/x86_64-linux-gnu';

/** The libraries of dropbear, which are all that the guest has. */
export const GUEST_LIBRARIES: readonly string[] = [
  ...['libc.so.6', 'libcrypt.so.1', 'libgmp.so.10', 'libtomcrypt.so.1', 'libtommath.so.1', 'libz.so.1'],
  'ld-linux-x86-64.so.2',
];

/** What starts a dynamic program in the guest. */
export const GUEST_LOADER = '/lib64/ld-linux-x86-64.so.2';

/** What of the userland packages goes into the image, by its path in both. */
const USERLAND_FILES: readonly string[] = [
  '/usr/bin/busybox',
  '/usr/bin/dropbearkey',
  '/usr/sbin/dropbear',
  ...GUEST_LIBRARIES.map((library) => `${LIBRARIES}/${library}`),
];

const FOLDERS: readonly string[] = [
  // The root itself: as the kernel makes it anybody may write to it, which dropbear does not put up with.
  '.',
  ...['dev', 'proc', 'sys', 'run', 'tmp', 'root', 'etc', 'etc/rig'],
  ...['usr', 'usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64', 'usr/lib/x86_64-linux-gnu'],
];

const LINKS: Readonly<Record<string, string>> = {
  bin: 'usr/bin',
  sbin: 'usr/sbin',
  lib: 'usr/lib',
  lib64: 'usr/lib64',
  'usr/lib64/ld-linux-x86-64.so.2': `../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2`,
};

const STRESS = repositoryPath('images/stress');
const DRIVER = repositoryPath('guest-kernel/edgpu');

interface GuestImageInput {
  readonly packages: DebianPackages;
  readonly kernel: Pick<KernelBuild, 'folder' | 'modules' | 'selftests'>;
}

/** The image as a file: gzip, padded with zeros so that a further cpio archive can be appended to it. */
export async function buildGuestImage(input: GuestImageInput, emit: Emit, signal: AbortSignal): Promise<string> {
  const key = contentKey({
    userland: USERLAND.map((name) => input.packages.binaries[name].identity),
    files: [...USERLAND_FILES, ...FOLDERS, JSON.stringify(LINKS)],
    guest: await folderKey(repositoryPath('images/guest')),
    stress: await folderKey(STRESS),
    uapi: await readFile(path.join(DRIVER, 'edgpu_drm.h')),
    kernel: path.basename(input.kernel.folder),
    toolchain: await toolchainIdentity(),
  });
  const build = async (work: EntryWork): Promise<void> => composeImage(input, work);
  const folder = await obtainEntry({ stage: 'guest-image', title: 'Compose guest image', key, build }, emit, signal);
  return path.join(folder, 'initrd.gz');
}

async function composeImage({ packages, kernel }: GuestImageInput, work: EntryWork): Promise<void> {
  const scratch = await mkdtemp(path.join(work.folder, 'scratch-'));
  for (const name of USERLAND) await extractDeb(packages.binaries[name].file, scratch, work);
  const applets = await busyboxApplets(scratch, work);
  const archive = writeCpio([
    ...folderEntries(FOLDERS),
    ...Object.entries(LINKS).map(([name, target]): CpioEntry => ({ kind: 'link', path: name, target })),
    { kind: 'char', path: 'dev/console', major: 5, minor: 1 },
    ...applets.map((name): CpioEntry => ({ kind: 'link', path: `usr/bin/${name}`, target: 'busybox' })),
    ...(await Promise.all(USERLAND_FILES.map((file) => fileEntry(file, path.join(scratch, file))))),
    ...(await treeEntries(repositoryPath('images/guest'), '')),
    ...(await treeEntries(path.join(kernel.modules, 'lib'), 'usr/lib')),
    ...(await treeEntries(kernel.selftests, 'usr/bin')),
    ...(await stressEntries(scratch, kernel.folder, work)),
  ]);
  await rm(scratch, { recursive: true });
  await writeFile(path.join(work.folder, 'initrd.gz'), padTo(await promisify(gzip)(archive), 512));
}

async function busyboxApplets(userland: string, { log, signal }: EntryWork): Promise<string[]> {
  const applets: string[] = [];
  await runBuildCommand({
    what: 'Listing the applets of busybox',
    argv: [path.join(userland, 'usr/bin/busybox'), '--list'],
    cwd: userland,
    log,
    signal,
    onLine: (line) => applets.push(line),
  });
  return applets.filter((name) => name !== 'busybox');
}

/** Static, since the guest's libraries are dropbear's and not the compiler's. */
async function stressEntries(scratch: string, kernelHeaders: string, work: EntryWork): Promise<CpioEntry[]> {
  const output = path.join(scratch, 'edgpu-stress');
  await compileStress(output, kernelHeaders, work);
  return [await fileEntry(STRESS_PROGRAM, output)];
}

/** In the guest. */
export const STRESS_PROGRAM = '/usr/bin/edgpu-stress';

export async function compileStress(output: string, kernelHeaders: string, work: EntryWork): Promise<void> {
  const { log, signal, step } = work;
  step.progress('compiling edgpu-stress');
  const variables = [`OUT=${output}`, `KERNEL=${kernelHeaders}`, `DRIVER=${DRIVER}`];
  const argv = ['make', '-C', STRESS, ...variables] as const;
  const files = await readdir(STRESS, { recursive: true });
  const edited = new Map(files.map((file) => [file, path.join(STRESS, file)]));
  const editedFile = (name: string): string | undefined => edited.get(name);
  await runBuildCommand({ what: 'Building edgpu-stress', argv, cwd: path.dirname(output), log, signal, editedFile });
}

async function fileEntry(target: string, source: string): Promise<CpioEntry> {
  const file = await realpath(source);
  const executable = ((await stat(file)).mode & 0o100) !== 0;
  return {
    kind: 'file',
    path: target.replace(/^\//, ''),
    data: await readFile(file),
    mode: executable ? 0o755 : 0o644,
  };
}

/** Everything below `folder`, as it will be below `target`. */
async function treeEntries(folder: string, target: string): Promise<CpioEntry[]> {
  const found = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .map((entry) => ({ entry, file: path.join(entry.parentPath, entry.name) }))
    .sort((a, b) => (a.file < b.file ? -1 : 1));
  return Promise.all(
    found.map(async ({ entry, file }): Promise<CpioEntry> => {
      const name = path.join(target, path.relative(folder, file));
      return entry.isDirectory() ? { kind: 'dir', path: name } : fileEntry(name, file);
    }),
  );
}

function folderEntries(names: readonly string[]): CpioEntry[] {
  return names.map((name) => ({ kind: 'dir', path: name }));
}
