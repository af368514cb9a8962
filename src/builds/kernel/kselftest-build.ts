/** The self-tests of a kernel tree (tools/testing/selftests), built as their own Makefile installs them. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { withBuildLock } from '../../cache/build-lock.ts';
import { obtainEntry, type EntryWork } from '../../cache/cache-entry.ts';
import { contentKey } from '../../cache/content-key.ts';
import { RigError } from '../../util/rig-error.ts';
import type { Emit } from '../../util/rig-event.ts';
import { fetchDebianPackages } from '../debian/debian-packages.ts';
import { prepareHost } from '../debian/host.ts';
import { obtainLibraries } from '../debian/libraries.ts';
import { runBuildCommand } from '../tree/build-command.ts';
import { editedFileOf } from '../tree/work-tree.ts';
import { headersKey, prepareHeaders, type KernelRequest } from './kernel-build.ts';
import { checkKernelTree, openKernelSource } from './kernel-source.ts';

const SELFTESTS = 'tools/testing/selftests';
const INSTALLED = 'kselftest';

const LIBRARIES = 'usr/lib/x86_64-linux-gnu';

/** Where the guest has the folder. */
const IN_GUEST = `/tmp/${INSTALLED}`;

/**
 * Runs one program. The runner of the tree opens /dev/stdout anew: the guest's /dev has none, and a socket, as ssh
 * gives a command, can't be opened. The time limit is the rig's own, which knows how slow the guest is.
 */
const RUN_ONE = `#!/bin/bash
set -o pipefail
ln -sf /proc/self/fd/1 /dev/stdout
"\${0%/*}/run_kselftest.sh" -o 0 -t "$1" | cat
`;

/** What the libraries of an earlier build had. The Makefile that writes it takes it to be up to date. */
const PROBED = ['mm/local_config.mk', 'mm/local_config.h_gen'];

interface KselftestRequest extends Omit<KernelRequest, 'source'> {
  readonly targets: readonly string[];
  readonly kernelSource?: string;
}

interface Kselftest {
  /** To be put into the guest, below /tmp. */
  readonly folder: string;
  /** One for each program. */
  readonly commands: readonly string[];
  /** Packages of the Debian userland that the programs need. */
  readonly install: readonly string[];
}

/** A name that is wrong is told before anything is compiled. */
export async function buildKselftest(
  { targets, kernelSource, ...request }: KselftestRequest,
  emit: Emit,
  signal: AbortSignal,
): Promise<Kselftest> {
  await checkKernelTree(kernelSource);
  await prepareHost(emit, signal);
  const source = await openKernelSource(kernelSource, await fetchDebianPackages(emit, signal));
  const wanted = [...new Set(targets)].sort();
  const { root, packages, install } = await obtainLibraries(emit, signal);
  const key = kselftestKey(await headersKey({ ...request, source }), wanted, packages);
  const build = async (work: EntryWork): Promise<void> => {
    // The tree is that of the kernel.
    const lock = { name: 'kernel', signal: work.signal, onWait: () => work.step.progress('waiting for another rig') };
    await withBuildLock(lock, () => installTargets({ targets: wanted, libraries: root }, { ...request, source }, work));
  };
  const spec = { stage: 'kselftest', title: `Build the self-tests ${wanted.join(', ')}`, key, build };
  const folder = path.join(await obtainEntry(spec, emit, signal), INSTALLED);
  const commands = commandsOf(await readFile(path.join(folder, 'kselftest-list.txt'), 'utf8'));
  return { folder, commands, install };
}

/** The host's own libraries have no part in it. */
export function kselftestKey(
  headers: Readonly<Record<string, string>>,
  targets: readonly string[],
  libraries: readonly string[],
): string {
  return contentKey({ ...headers, targets: targets.join(' '), runOne: RUN_ONE, libraries });
}

interface Compilation {
  readonly targets: readonly string[];
  /** What takes the place of the host's root for the compiler. */
  readonly libraries: string;
}

async function installTargets(
  { targets, libraries }: Compilation,
  request: KernelRequest,
  work: EntryWork,
): Promise<void> {
  const { folder, log, signal, step } = work;
  const tree = await prepareHeaders(request, work, async (source) => {
    checkTargets(targets, targetsOf(await readFile(path.join(source, SELFTESTS, 'Makefile'), 'utf8')));
  });
  step.progress('compiling');
  for (const name of PROBED) await rm(path.join(tree.source, SELFTESTS, name), { force: true });
  const objects = path.join(folder, 'objects');
  const edited = editedFileOf(tree, tree.source, new Map());
  await runBuildCommand({
    what: 'Building the self-tests',
    argv: [
      ...(['make', '-C', SELFTESTS, `-j${String(availableParallelism())}`, 'install'] as const),
      `TARGETS=${targets.join(' ')}`,
      `CC=${compilerFor(libraries)}`,
      // One that does not build is an error, not left out.
      ...['FORCE_TARGETS=1', 'SKIP_TARGETS='],
      ...[`O=${objects}`, `KHDR_INCLUDES=-isystem ${path.join(tree.source, 'usr/include')}`],
      `INSTALL_PATH=${path.join(folder, INSTALLED)}`,
      // Modules would be of the kernel that the tree was last built as.
      'TEST_GEN_MODS_DIR=',
    ],
    cwd: tree.source,
    env: {
      PKG_CONFIG_SYSROOT_DIR: libraries,
      PKG_CONFIG_LIBDIR: `${libraries}/${LIBRARIES}/pkgconfig:${libraries}/usr/share/pkgconfig`,
    },
    // make changes to the folder of the target, and the compiler names files as they are called there.
    editedFile: (name) => {
      return targets.map((target) => edited(path.join(SELFTESTS, target, name))).find((file) => file !== undefined);
    },
    ...{ log, signal },
  });
  await writeFile(path.join(folder, INSTALLED, 'run-one'), RUN_ONE, { mode: 0o755 });
  await rm(objects, { recursive: true, force: true });
}

/** Debian's gcc would look for libraries beside itself, in the host's folder, before it does below another root. */
function compilerFor(root: string): string {
  return `gcc --sysroot=${root} -B${root}/${LIBRARIES}`;
}

/** As the Makefile of the self-tests names them. */
export function targetsOf(makefile: string): string[] {
  return [...makefile.matchAll(/^TARGETS \+= (\S+)$/gm)].map(([, name = '']) => name);
}

export function checkTargets(asked: readonly string[], known: readonly string[]): void {
  const missing = asked.filter((name) => !known.includes(name));
  if (missing.length === 0) return;
  throw new RigError('usage', `There is no target ${missing.join(', ')} among the self-tests of this kernel.`, {
    remedy: `The targets are: ${known.join(', ')}.`,
  });
}

/** Of the list that `make install` writes. */
export function commandsOf(list: string): string[] {
  const names = list.split('\n').filter((line) => line !== '');
  return names.map((name) => `${IN_GUEST}/run-one ${name}`);
}
