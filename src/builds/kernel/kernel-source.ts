/** Where the kernel's sources come from: Debian's package, or a tree of the user's own, which is never written to. */

import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { runBuildCommand } from '../tree/build-command.ts';
import { contentKey } from '../../cache/content-key.ts';
import type { DebianPackage, DebianPackages } from '../debian/debian-packages.ts';
import { openUserTree, userTreePath } from '../tree/user-tree.ts';
import type { SourceTree, TreeKind } from '../tree/user-tree.ts';

export interface KernelSource extends SourceTree {
  /** It has the series and the driver in it, as `kernel edit` lays them out: it is built as it is. */
  readonly complete: boolean;
}

const DRIVER_IN_TREE = 'drivers/gpu/drm/edgpu';

/** Refuses a folder that is no such tree, before anything is fetched or built. */
export async function checkKernelTree(folder: string | undefined): Promise<void> {
  if (folder !== undefined) await userTreePath(folder, LINUX);
}

/** `folder`, or without one what Debian packages. */
export async function openKernelSource(folder: string | undefined, packages: DebianPackages): Promise<KernelSource> {
  return folder === undefined ? debianKernelSource(await packages.source('linux')) : userKernelSource(folder);
}

async function userKernelSource(folder: string): Promise<KernelSource> {
  const tree = await openUserTree(folder, LINUX);
  const driver = path.join(folder, DRIVER_IN_TREE);
  const files = (await readdir(driver).catch(() => []))
    .filter((name) => /\.[ch]$|^Kconfig$|^Makefile$/.test(name))
    .sort();
  if (!files.includes('Kconfig')) return { ...tree, complete: false };
  // The driver's files may be links to where it is worked on: what counts is where they lead.
  const contents = await Promise.all(
    files.map(async (name) => [name, await readFile(path.join(driver, name))] as const),
  );
  const identity = contentKey({ tree: tree.identity, driver: contentKey(Object.fromEntries(contents)) });
  return { ...tree, identity, complete: true };
}

function debianKernelSource({ version, identity, file }: DebianPackage): KernelSource {
  return {
    version,
    complete: false,
    misfit: 'infrastructure',
    identity,
    treeName: contentKey({ identity }),
    fill: ({ log, signal, step }) => ({
      unpack: async (folder) => {
        step.progress('unpacking');
        await runBuildCommand({ what: 'Unpacking Linux', argv: unpackCommand(file), cwd: folder, log, signal });
      },
    }),
  };
}

/**
 * From package to tree without a copy of either tar archive on disk: all of it, or only these files, as far as it has
 * them.
 */
export function unpackCommand(deb: string, files: readonly string[] = []): readonly [string, ...string[]] {
  // tar's exit code 2 is that of a file that is not there.
  const some = files.length > 0 ? `--wildcards "\${@/#/*/}" || [ $? = 2 ]` : '';
  const script = `deb=$1; shift; dpkg-deb --fsys-tarfile "$deb" |
    tar -x --to-stdout --wildcards './usr/src/linux-source-*.tar.xz' | xz -dc -T0 | { tar -x --strip-components=1 ${some}; }`;
  return ['bash', '-o', 'pipefail', '-c', script, 'unpack', deb, ...files];
}

const LINUX: TreeKind = {
  marker: 'mm/shmem.c',
  what: 'a Linux source tree',
  remedy: 'Give --kernel-src a folder with the sources of Linux 7.3 in it.',
  products: ['.git', '*.o', '*.a', '*.ko', '*.mod', '*.mod.c', '*.cmd', '*.order', '.config', '.config.old'],
};
