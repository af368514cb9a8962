/**
 * The counters of a kernel that counts what it executes (flavour gcov), on their way to the host. Each VM has a folder,
 * SUITE/TEST-ID, from before its boot on; it stays empty when the VM dies before they are fetched.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { suiteNameOf } from '../../plan/suite-files.ts';
import type { RigContext } from '../../plan/rig-context.ts';
import { getFiles } from '../../vm/link/file-transfer.ts';
import type { Vm } from '../../vm/vm.ts';
import { vmFolder, type TestCase } from './vm-start.ts';

/** Undefined where nobody asks for counters. */
export async function countersFolder(
  { counters }: Pick<RigContext, 'counters'>,
  task: TestCase & { readonly file: { readonly filepath: string } },
): Promise<string | undefined> {
  if (counters === undefined) return undefined;
  const folder = vmFolder(path.join(counters, suiteNameOf(task.file.filepath)), task);
  await mkdir(folder, { recursive: true });
  return folder;
}

const COUNTERS = '/sys/kernel/debug/gcov';
const COPY = '/run/gcov';

/**
 * A copy first: to tar these files are empty, as their size is 0. The links beside them lead to where the kernel was
 * built.
 */
const COPY_SCRIPT = `rm -rf ${COPY} && cp -dR ${COUNTERS} ${COPY} && find ${COPY} -type l -exec rm {} +`;

/** Fails no test: of a VM that is dead, or too ill to answer, they are lost. */
export async function fetchCounters(vm: Vm, to: string): Promise<void> {
  if (vm.state.kind !== 'ready') return;
  try {
    if ((await vm.exec(COPY_SCRIPT)).exitCode !== 0) return;
    await getFiles(vm.session(), COPY, `${to}/`, AbortSignal.any([vm.signal, AbortSignal.timeout(vm.limits.command)]));
  } catch {
    return;
  }
}
