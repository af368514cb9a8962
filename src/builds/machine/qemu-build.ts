/** Builds QEMU with the edgpu device in it: from Debian's source, or from a tree of the user's own. */

import { access, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';

import { repositoryPath } from '../../config/paths.ts';
import type { Emit } from '../../util/rig-event.ts';
import { runBuildCommand } from '../tree/build-command.ts';
import { countdown } from '../tree/build-progress.ts';
import { toolchainIdentity } from '../tree/build-environment.ts';
import { obtainEntry } from '../../cache/cache-entry.ts';
import type { EntryWork } from '../../cache/cache-entry.ts';
import { contentKey } from '../../cache/content-key.ts';
import { extractDeb } from '../debian/debian-packages.ts';
import type { DebianPackage, DebianPackages } from '../debian/debian-packages.ts';
import { graftedFiles, overlayKey } from '../tree/source-overlay.ts';
import type { OverlaySpec } from '../tree/source-overlay.ts';
import { openUserTree, userTreePath } from '../tree/user-tree.ts';
import type { SourceTree, TreeKind } from '../tree/user-tree.ts';
import { editedFileOf, prepareWorkTree } from '../tree/work-tree.ts';
import type { WorkTree } from '../tree/work-tree.ts';

const CONFIGURE: readonly string[] = [
  '--target-list=x86_64-softmmu',
  '--without-default-features',
  '--disable-install-blobs',
  '--disable-werror',
  '--disable-debug-info',
  '--disable-docs',
  '--disable-download',
  '--enable-system',
  '--enable-tcg',
  '--enable-kvm',
  '--enable-slirp',
  '--enable-pixman',
  '--enable-seccomp',
  // qxl renders by it, also without any client.
  '--enable-spice',
  // A folder of the host in the guest (--share).
  '--enable-virtfs',
  '--enable-attr',
  '--without-default-devices',
  '--with-devices-x86_64=edgpu-devices',
];

/** Which devices are built: most of what QEMU has no machine of the rig could use. */
const DEVICE_LIST = repositoryPath('rig/qemu/edgpu-devices.mak');

const PROGRAM = 'qemu-system-x86_64';

/** Of the sources, and beside the programs in the cache. */
const VERSION = 'VERSION';

const DEVICE_GRAFT = { folder: repositoryPath('rig/edgpu'), to: 'hw/edgpu' };

/** What a QEMU of this release gets: some fixes are for one series alone, as later ones have them in another way. */
function deviceOverlay(release: string): OverlaySpec {
  const [series = ''] = /^\d+\.\d+/.exec(release) ?? [];
  const folders = [`rig/qemu-${series}`, 'rig/qemu'];
  return { patchFolders: folders.map((folder) => repositoryPath(folder)), graft: DEVICE_GRAFT };
}

/** What of it is undefined behaviour or an access out of bounds ends it, with a report. */
const SANITIZERS: readonly string[] = ['--enable-asan', '--enable-ubsan'];

/** The Python packages that it is configured with: the host's meson may be too old. */
const PYTHON_PACKAGES = ['meson', 'python3-pycotap'] as const;

/** Where the build keeps them. */
const PYTHON = 'rig-python';

export interface QemuBuild {
  readonly binary: string;
  readonly version: string;
}

/** Which QEMU to build. */
export interface QemuVariant {
  /** Another tree than Debian's package; it is not written to. */
  readonly source?: string;
  /** With AddressSanitizer and UndefinedBehaviorSanitizer. */
  readonly sanitize?: boolean;
}

export async function buildQemu(
  { packages, variant }: { packages: DebianPackages; variant: QemuVariant },
  emit: Emit,
  signal: AbortSignal,
): Promise<QemuBuild> {
  const source = await openQemuSource(variant.source, packages);
  const configure = [...CONFIGURE, ...(variant.sanitize ? SANITIZERS : [])];
  const how = contentKey({
    python: PYTHON_PACKAGES.map((name) => packages.binaries[name].identity),
    configure,
    devices: await readFile(DEVICE_LIST),
    toolchain: await toolchainIdentity(),
  });
  const overlay = deviceOverlay(source.release);
  const key = contentKey({ qemu: source.identity, how, overlay: await overlayKey(overlay) });
  const request = { packages, source, overlay, configure, treeName: contentKey({ tree: source.treeName, how }) };
  const build = async (work: EntryWork): Promise<void> => compileQemu(request, work);
  const folder = await obtainEntry({ stage: 'qemu', title: 'Build QEMU with edgpu', key, build }, emit, signal);
  return { binary: path.join(folder, PROGRAM), version: await readFile(path.join(folder, VERSION), 'utf8') };
}

const QEMU: TreeKind = {
  marker: 'system/physmem.c',
  what: 'a QEMU source tree',
  remedy: 'Give --qemu-src a folder with the sources of QEMU 10.0 or later in it.',
  products: ['.git', '*.o', '*.a', 'build'],
};

/** Refuses a folder that is no such tree, before anything is fetched or built. */
export async function checkQemuTree(folder: string | undefined): Promise<void> {
  if (folder !== undefined) await userTreePath(folder, QEMU);
}

interface QemuSource extends SourceTree {
  /** As QEMU itself names it: "10.0.13". */
  readonly release: string;
}

async function openQemuSource(folder: string | undefined, packages: DebianPackages): Promise<QemuSource> {
  if (folder === undefined) return debianQemuSource(await packages.source('qemu'));
  const tree = await openUserTree(folder, QEMU);
  return { ...tree, release: await readFile(path.join(folder, VERSION), 'utf8') };
}

function debianQemuSource({ version, identity, file }: DebianPackage): QemuSource {
  return {
    version,
    // Without the epoch of the package.
    release: version.replace(/^\d+:/, ''),
    misfit: 'infrastructure',
    identity,
    treeName: contentKey({ identity }),
    fill: ({ log, signal, step }) => ({
      unpack: async (folder) => {
        step.progress('unpacking');
        await rm(folder, { recursive: true });
        const argv = ['dpkg-source', '--no-copy', '-x', file, folder] as const;
        await runBuildCommand({ what: 'Unpacking the source of QEMU', argv, cwd: path.dirname(folder), log, signal });
      },
    }),
  };
}

interface QemuRequest {
  readonly packages: DebianPackages;
  readonly source: SourceTree;
  readonly overlay: OverlaySpec;
  readonly configure: readonly string[];
  readonly treeName: string;
}

async function compileQemu(request: QemuRequest, work: EntryWork): Promise<void> {
  const { source, overlay, treeName } = request;
  const tree = await prepareWorkTree(
    {
      kind: 'qemu',
      identity: treeName,
      title: `QEMU ${source.version}`,
      misfit: source.misfit,
      neededGiB: 3,
      ...source.fill(work),
    },
    overlay,
  );
  await configureQemu(tree, request, work);
  const jobs = `-j${availableParallelism()}`;
  await inTree(tree, work, { what: 'Building QEMU', argv: ['ninja', jobs, PROGRAM], onLine: ninjaProgress(work) });
  await copyFile(path.join(tree.output, PROGRAM), path.join(work.folder, PROGRAM));
  await writeFile(path.join(work.folder, VERSION), (await readFile(path.join(tree.source, VERSION), 'utf8')).trim());
}

async function configureQemu(tree: WorkTree, request: QemuRequest, work: EntryWork): Promise<void> {
  const configured = path.join(tree.output, '.configured');
  const alreadyDone = await access(configured).then(
    () => true,
    () => false,
  );
  if (alreadyDone) return;
  work.step.progress('configuring');
  await rm(tree.output, { recursive: true, force: true });
  await mkdir(path.join(tree.output, PYTHON), { recursive: true });
  for (const name of PYTHON_PACKAGES) {
    await extractDeb(request.packages.binaries[name].file, path.join(tree.output, PYTHON), work);
  }
  const list = path.join('configs/devices/x86_64-softmmu', path.basename(DEVICE_LIST));
  await copyFile(DEVICE_LIST, path.join(tree.source, list));
  const argv = [path.join(tree.source, 'configure'), '--python=/usr/bin/python3', ...request.configure] as const;
  await inTree(tree, work, { what: 'Configuring QEMU', argv, onLine: () => undefined });
  await writeFile(configured, '');
}

interface TreeCommand {
  readonly what: string;
  readonly argv: readonly [string, ...string[]];
  readonly onLine: (line: string) => void;
}

async function inTree(tree: WorkTree, { log, signal }: EntryWork, command: TreeCommand): Promise<void> {
  const python = path.join(tree.output, PYTHON, 'usr');
  const env = {
    PATH: `${path.join(python, 'bin')}:${process.env['PATH'] ?? '/usr/bin:/bin'}`,
    PYTHONPATH: path.join(python, 'lib/python3/dist-packages'),
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const editedFile = editedFileOf(tree, tree.output, await graftedFiles(DEVICE_GRAFT));
  const { dirtyMarker } = tree;
  await runBuildCommand({ ...command, cwd: tree.output, env, editedFile, dirtyMarker, log, signal });
}

function ninjaProgress({ step }: EntryWork): (line: string) => void {
  const count = countdown(step);
  return (line) => {
    const [, done, total] = /^\[(\d+)\/(\d+)\]/.exec(line) ?? [];
    if (done !== undefined && total !== undefined) count(Number(done), Number(total));
  };
}
