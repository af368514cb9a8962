/**
 * What memory is in use for, once all that can go has gone: taken before and after, it shows what was not given back.
 */
import type { Guest } from './guest.ts';
import { parseSlabinfo, parseVmallocinfo } from './proc-files.ts';

export interface MemoryStock {
  readonly shmem: number;
  /** Pages that reclaim doesn't look at: those of objects that are held. */
  readonly unevictable: number;
  /** Bytes, by the function that asked for them. */
  readonly vmalloc: ReadonlyMap<string, number>;
  /** Processes killed for want of memory, since boot. */
  readonly oomKills: number;
  /** Objects in use, by slab cache. */
  readonly slab: ReadonlyMap<string, number>;
  /** The DMA API's debugging has given up, for want of memory for one more record. */
  readonly dmaDebugOff: boolean;
}

/**
 * Back from swap with all that is still wanted: a page that nobody owns would lie there unseen. Twice, because what
 * closes a file last is often a work item; what is freed after a grace period of RCU is waited for, which on a slow
 * kernel may be a lot; and slab caches are asked to forget what they keep for later.
 */
const SETTLE = `
set -e
for turn in 1 2; do
  while read -r device type rest; do
    [ "$type" = Type ] || { swapoff "$device"; swapon "$device"; }
  done < /proc/swaps
  sync
  echo 3 > /proc/sys/vm/drop_caches
  sleep 1
done
barrier=/sys/module/rcutree/parameters/do_rcu_barrier
[ ! -w $barrier ] || echo 1 > $barrier
for cache in /sys/kernel/slab/*/shrink; do echo 1 > "$cache"; done
`;

/** Minutes, where seconds are usual: all of swap may have to be read. */
const DEADLINE_MS = 300_000;

const DMA_DEBUG_OFF = '/sys/kernel/debug/dma-api/disabled';

export async function takeStock(guest: Guest): Promise<MemoryStock> {
  await guest.run(SETTLE, { deadlineMs: DEADLINE_MS });
  const [meminfo, vmstat] = [await guest.meminfo(), await guest.vmstat()];
  const [slabinfo, vmallocinfo] = [await guest.read('/proc/slabinfo'), await guest.read('/proc/vmallocinfo')];
  return {
    shmem: meminfo.get('Shmem') ?? NaN,
    unevictable: meminfo.get('Unevictable') ?? NaN,
    vmalloc: parseVmallocinfo(vmallocinfo),
    oomKills: vmstat.get('oom_kill') ?? NaN,
    slab: parseSlabinfo(slabinfo),
    dmaDebugOff: (await guest.exec(`grep -q Y ${DMA_DEBUG_OFF}`)).exitCode === 0,
  };
}

/** What sshd and the shells of the rig come and go with. */
const OTHERS_BYTES = 256 * 1024;

/**
 * The cache of what that debugging leaves behind when it gives up: its records of what was mapped at that time are
 * never taken out of their radix tree.
 */
const DMA_RECORDS = 'radix_tree_node';

/** kmemleak's: one for each allocation there is, of any cache, so that what is noise in each of them adds up. */
const LEAK_RECORDS = 'kmemleak_object';

/**
 * The per-CPU allocator gets memory by the chunk and keeps one that is empty, so that one more says nothing. By this
 * name are its notes about a chunk: 2.1 MiB with four CPUs.
 */
const NOTES_OF_PERCPU = 'pcpu_create_chunk';
const NOTES_BYTES = 4 * 1024 * 1024;

/** What was not given back, or at whose cost; empty is good. */
export function stockComplaints(before: MemoryStock, after: MemoryStock, objectsMade: number): string[] {
  const exempt = [LEAK_RECORDS, ...(after.dmaDebugOff ? [DMA_RECORDS] : [])];
  const caches = [...after.slab].filter(([name]) => !exempt.includes(name));
  return [
    ...notRead('vmalloc', after.vmalloc),
    ...notRead('slab', after.slab),
    ...growth('shmem', after.shmem - before.shmem, OTHERS_BYTES),
    ...growth('unevictable', after.unevictable - before.unevictable, OTHERS_BYTES),
    ...[...after.vmalloc].flatMap(([caller, used]) => {
      const allowed = caller === NOTES_OF_PERCPU ? NOTES_BYTES : OTHERS_BYTES;
      return growth(`vmalloc by ${caller}`, used - (before.vmalloc.get(caller) ?? 0), allowed);
    }),
    ...growth('oom-kill', after.oomKills - before.oomKills, 0),
    ...caches.flatMap(([name, used]) =>
      growth(`slab ${name}`, used - (before.slab.get(name) ?? 0), slabNoise(objectsMade)),
    ),
  ];
}

/** No kernel uses none at all: a list that has no entry was not understood. */
function notRead(what: string, list: ReadonlyMap<string, number>): string[] {
  return list.size > 0 ? [] : [`${what} +NaN`];
}

/**
 * One slab object left for every hundred objects made is a leak; caches of the rest of the system stay below that, or
 * below some pages' worth of the smallest objects when few were made.
 */
function slabNoise(objectsMade: number): number {
  return Math.max(1024, objectsMade / 100);
}

function growth(what: string, grown: number, allowed: number): string[] {
  return grown <= allowed ? [] : [`${what} +${String(grown)}`];
}
