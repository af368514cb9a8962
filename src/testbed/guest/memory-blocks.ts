/** Memory of the guest that can go offline and come back, block by block: /sys/devices/system/memory. */
import type { Guest } from './guest.ts';

const FOLDER = '/sys/devices/system/memory';

/** A stretch of physical addresses, all of one node. */
export interface MemoryBlock {
  readonly path: string;
  readonly node: number;
  readonly address: number;
  readonly bytes: number;
}

/** Those that are online, from the lowest address. */
export async function memoryBlocks(guest: Guest): Promise<MemoryBlock[]> {
  const [size = '', ...lines] = (
    await guest.run(
      `cd ${FOLDER} && cat block_size_bytes && for block in memory[0-9]*; do ` +
        `grep -q ^online $block/state && echo $PWD/$block $(cat $block/phys_index) $block/node*; done`,
    )
  ).split('\n');
  const bytes = parseInt(size, 16);
  const blocks = lines.flatMap((line) => {
    const [, path = '', index = '', node = ''] = /^(\S+) ([0-9a-f]+) \S+\/node(\d+)$/.exec(line) ?? [];
    return path === '' ? [] : [{ path, node: Number(node), address: parseInt(index, 16) * bytes, bytes }];
  });
  return blocks.sort((a, b) => a.address - b.address);
}

/** What is free of it all goes to ZONE_MOVABLE, which is for what can always be moved. */
export async function makeMovable(guest: Guest, blocks: readonly MemoryBlock[]): Promise<void> {
  await guest.run(
    `for block in ${blocks.map(({ path }) => path).join(' ')}; do ` +
      `echo offline > $block/state && echo online_movable > $block/state || exit 1; done`,
  );
}

/** What the kernel says of each page that keeps a block from going offline, for the benefit of whoever wanted it to. */
export const OFFLINE_REFUSED =
  /^(migrating pfn [0-9a-f]+ failed ret:|page: refcount:|memcg:|aops:|flags: 0x|page_type: |raw: |head: |page dumped because: (migration failure|unmovable page)$)/;

/**
 * Ends with the error of the kernel, if any; with "goes on" if it had to be told to stop after so many seconds; with
 * undefined if the memory is offline.
 */
export async function takeOffline(guest: Guest, { path }: MemoryBlock, seconds: number): Promise<string | undefined> {
  const { exitCode, stderr } = await guest.exec(`timeout ${String(seconds)} sh -c 'echo offline > ${path}/state'`);
  if (exitCode === 0) return undefined;
  return stderr.trim() || 'goes on';
}

/** All blocks of a node but the first, which has what the kernel needs; they are empty and offline then. */
export async function emptyBlocks(guest: Guest, node: number): Promise<MemoryBlock[]> {
  const [, ...others] = (await memoryBlocks(guest)).filter((block) => block.node === node);
  for (const { path } of others) await guest.run(`echo offline > ${path}/state`);
  return others;
}

/** For all that the kernel allocates, as at boot. */
export async function putOnline(guest: Guest, { path }: MemoryBlock): Promise<void> {
  await guest.run(`echo online_kernel > ${path}/state`);
}

/** Of the block as the kernel says: `online`, `offline`, or on the way. */
export async function blockState(guest: Guest, { path }: MemoryBlock): Promise<string> {
  return (await guest.read(`${path}/state`)).trim();
}
