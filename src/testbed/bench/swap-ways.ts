/** The ways in which TTM's pages get to shmem and to swap, of which a bench measures each in turn. */

import { BACKENDS, type Backend } from '../../config/combination.ts';
import type { Gpu } from '../device/gpu.ts';
import type { Guest } from '../guest/guest.ts';

/** As `backup`, but the page itself becomes one of the file's: guest-kernel/alternatives/insert-at-swapout.patch. */
const INSERT = 'insert';
const PARAMETER = '/sys/module/ttm/parameters/backup_insert';

type SwapWay = Backend | typeof INSERT;

/** What the kernel of the guest can do: each backend of the driver, and `insert` where that patch is applied. */
export async function swapWays(guest: Guest): Promise<readonly SwapWay[]> {
  const hasInsert = await guest.run(`modprobe ttm; test -e ${PARAMETER} && echo yes || true`);
  return hasInsert.trim() === 'yes' ? [...BACKENDS, INSERT] : BACKENDS;
}

/** Loads the driver, which then swaps in this way. */
export async function loadForSwap(gpu: Gpu, guest: Guest, way: SwapWay): Promise<void> {
  await gpu.load({ backend: way === INSERT ? 'backup' : way });
  await guest.run(`test ! -e ${PARAMETER} || echo ${way === INSERT ? 'Y' : 'N'} > ${PARAMETER}`);
}
