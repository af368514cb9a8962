/** Builds QEMU from Debian's source with the edgpu device in it. */

import { access, copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';

import { repositoryPath } from '../config/paths.ts';
import type { Emit } from '../util/rig-event.ts';
import { runBuildCommand } from './build-command.ts';
import { toolchainIdentity } from './build-environment.ts';
import { obtainEntry } from './cache-entry.ts';
import type { EntryWork } from './cache-entry.ts';
import { contentKey } from './content-key.ts';
import { extractDeb } from './debian-packages.ts';
import type { DebianPackages } from './debian-packages.ts';
import { overlayKey } from './source-overlay.ts';
import type { OverlaySpec } from './source-overlay.ts';
import { prepareWorkTree } from './work-tree.ts';
import type { WorkTree } from './work-tree.ts';

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
  '--enable-tools',
];

const PROGRAMS = ['qemu-system-x86_64', 'qemu-img'] as const;

const DEVICE: OverlaySpec = {
  patchFolder: repositoryPath('rig/qemu'),
  graft: { folder: repositoryPath('rig/edgpu'), to: 'hw/edgpu' },
};

/** Where the tree keeps the meson that it is configured with: the host's may be too old. */
const MESON = '.rig-meson';

export interface QemuBuild {
  readonly binary: string;
  readonly img: string;
  readonly version: string;
}

export async function buildQemu(packages: DebianPackages, emit: Emit, signal: AbortSignal): Promise<QemuBuild> {
  const { qemu } = packages.sources;
  const base = contentKey({
    qemu: qemu.identity,
    meson: packages.binaries.meson.identity,
    configure: CONFIGURE,
    toolchain: await toolchainIdentity(),
  });
  const key = contentKey({ base, overlay: await overlayKey(DEVICE) });
  const build = async (work: EntryWork): Promise<void> => compileQemu(packages, base, work);
  const folder = await obtainEntry({ stage: 'qemu', title: 'Build QEMU with edgpu', key, build }, emit, signal);
  const [binary, img] = PROGRAMS.map((program) => path.join(folder, program));
  return { binary: binary ?? '', img: img ?? '', version: qemu.version.replace(/[^\d.].*$/, '') };
}

async function compileQemu(packages: DebianPackages, base: string, work: EntryWork): Promise<void> {
  const tree = await prepareWorkTree(
    {
      kind: 'qemu',
      identity: base,
      title: `QEMU ${packages.sources.qemu.version}`,
      misfit: 'infrastructure',
      neededGiB: 2,
      unpack: async (folder) => unpackQemu(packages, folder, work),
    },
    DEVICE,
  );
  await configureQemu(tree, work);
  const jobs = `-j${availableParallelism()}`;
  await inTree(tree, work, { what: 'Building QEMU', argv: ['ninja', jobs, ...PROGRAMS], onLine: ninjaProgress(work) });
  for (const program of PROGRAMS) await copyFile(path.join(tree.output, program), path.join(work.folder, program));
}

async function unpackQemu(packages: DebianPackages, folder: string, work: EntryWork): Promise<void> {
  const { log, signal, step } = work;
  step.progress('unpacking');
  await rm(folder, { recursive: true });
  const argv = ['dpkg-source', '--no-copy', '-x', packages.sources.qemu.file, folder] as const;
  await runBuildCommand({ what: 'Unpacking the source of QEMU', argv, cwd: path.dirname(folder), log, signal });
  const meson = path.join(folder, MESON);
  await mkdir(meson);
  await extractDeb(packages.binaries.meson.file, meson, work);
}

async function configureQemu(tree: WorkTree, work: EntryWork): Promise<void> {
  const configured = path.join(tree.output, '.configured');
  const alreadyDone = await access(configured).then(
    () => true,
    () => false,
  );
  if (alreadyDone) return;
  work.step.progress('configuring');
  await rm(tree.output, { recursive: true, force: true });
  await mkdir(tree.output);
  const argv = [path.join(tree.source, 'configure'), '--python=/usr/bin/python3', ...CONFIGURE] as const;
  await inTree(tree, work, { what: 'Configuring QEMU', argv, onLine: () => undefined });
  await writeFile(configured, '');
}

interface TreeCommand {
  readonly what: string;
  readonly argv: readonly [string, ...string[]];
  readonly onLine: (line: string) => void;
}

async function inTree(tree: WorkTree, { log, signal }: EntryWork, command: TreeCommand): Promise<void> {
  const meson = path.join(tree.source, MESON, 'usr');
  const env = {
    PATH: `${path.join(meson, 'bin')}:${process.env['PATH'] ?? '/usr/bin:/bin'}`,
    PYTHONPATH: path.join(meson, 'lib/python3/dist-packages'),
    PYTHONDONTWRITEBYTECODE: '1',
  };
  await runBuildCommand({ ...command, cwd: tree.output, env, dirtyMarker: tree.dirtyMarker, log, signal });
}

function ninjaProgress({ step }: EntryWork): (line: string) => void {
  return (line) => {
    const [, done, total] = /^\[(\d+)\/(\d+)\]/.exec(line) ?? [];
    if (done !== undefined && total !== undefined) step.progress(`${done} of ${total}`);
  };
}
