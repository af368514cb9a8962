/**
 * drgn, as the userland's release has it: that of Debian 12 can't read the memory of a kernel as new as ours. With its
 * Python and its libraries, which are not those of the host.
 */
import path from 'node:path';
import type { Emit } from '../../util/rig-event.ts';
import { loadPackageSources } from './package-sources.ts';
import { obtainUnpacked } from './unpacked-packages.ts';

const LIBRARIES = 'usr/lib/x86_64-linux-gnu';

/** A program, and what it needs before and beside its arguments. */
interface Drgn {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export async function obtainDrgn(emit: Emit, signal: AbortSignal): Promise<Drgn> {
  const { drgn: wanted } = await loadPackageSources();
  const { root } = await obtainUnpacked({ stage: 'drgn', title: 'Fetch drgn from Debian', wanted }, emit, signal);
  const libraries = path.join(root, LIBRARIES);
  return {
    program: path.join(libraries, 'ld-linux-x86-64.so.2'),
    args: ['--library-path', libraries, path.join(root, 'usr/bin/python3'), path.join(root, 'usr/bin/drgn')],
    // What is in the cache stays as it is.
    env: { PYTHONHOME: path.join(root, 'usr'), PYTHONDONTWRITEBYTECODE: '1' },
  };
}
