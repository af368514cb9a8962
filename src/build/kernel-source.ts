/** Where the kernel's sources come from: Debian's package, or a tree of the user's own, which is never written to. */

import { runBuildCommand } from './build-command.ts';
import { contentKey } from './content-key.ts';
import type { DebianPackage, DebianPackages } from './debian-packages.ts';
import { openUserTree } from './user-tree.ts';
import type { SourceTree, TreeKind } from './user-tree.ts';

export type KernelSource = SourceTree;

/** `folder`, or without one what Debian packages. */
export async function openKernelSource(folder: string | undefined, packages: DebianPackages): Promise<KernelSource> {
  return folder === undefined ? debianKernelSource(packages.binaries['linux-source-7.3']) : openUserTree(folder, LINUX);
}

function debianKernelSource({ version, identity, file }: DebianPackage): KernelSource {
  return {
    version,
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

/** From package to tree without a copy of either tar archive on disk. */
function unpackCommand(deb: string): readonly [string, ...string[]] {
  const script = `dpkg-deb --fsys-tarfile "$1" |
    tar -x --to-stdout --wildcards './usr/src/linux-source-*.tar.xz' | xz -dc -T0 | tar -x --strip-components=1`;
  return ['bash', '-o', 'pipefail', '-c', script, 'unpack', deb];
}

const LINUX: TreeKind = {
  marker: 'mm/shmem.c',
  what: 'a Linux source tree',
  remedy: 'Give --kernel-src a folder with the sources of Linux 7.3 in it.',
  products: ['.git', '*.o', '*.a', '*.ko', '*.mod', '*.mod.c', '*.cmd', '*.order', '.config', '.config.old'],
};
