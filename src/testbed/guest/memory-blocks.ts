/** Memory of the guest that can go offline and come back, block by block: /sys/devices/system/memory. */
import type { Guest } from './guest.ts';

const FOLDER = '/sys/devices/system/memory';

/** A stretch of physical addresses, all of one node. */
interface MemoryBlock {
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
