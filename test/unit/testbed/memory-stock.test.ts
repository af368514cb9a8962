import { describe, expect, test } from 'vitest';
import { stockComplaints, type MemoryStock } from '../../../src/testbed/guest/memory-stock.ts';

const BEFORE: MemoryStock = {
  shmem: 2 ** 20,
  unevictable: 0,
  vmalloc: new Map([['alloc_thread_stack_node', 2 ** 20]]),
  oomKills: 0,
  slab: new Map([['kmalloc-1k', 5000]]),
  dmaDebugOff: false,
};

function after(changes: Partial<MemoryStock>): string[] {
  return stockComplaints(BEFORE, { ...BEFORE, ...changes }, 200_000);
}

describe('what was not given back', () => {
  test('nothing, and less than before, are good', () => {
    expect(after({})).toEqual([]);
    const less = { vmalloc: new Map([['alloc_thread_stack_node', 0]]), slab: new Map([['kmalloc-1k', 0]]) };
    expect(after({ shmem: 0, ...less })).toEqual([]);
  });

  test('pages that reclaim would not find, or a wrong count of them', () => {
    expect(after({ unevictable: 2 ** 20 })).toEqual(['unevictable +1048576']);
  });

  test('shmem and vmalloc, beyond what shells come and go with', () => {
    expect(after({ shmem: 2 ** 20 + 2 ** 18 })).toEqual([]);
    expect(after({ shmem: 2 ** 20 + 2 ** 18 + 4096 })).toEqual(['shmem +266240']);
    const stacks = new Map([['alloc_thread_stack_node', 2 ** 21]]);
    expect(after({ vmalloc: stacks })).toEqual(['vmalloc by alloc_thread_stack_node +1048576']);
    expect(after({ vmalloc: new Map([['edgpu_load', 2 ** 19]]) })).toEqual(['vmalloc by edgpu_load +524288']);
  });

  test('one more chunk of per-CPU memory is kept for later, and two are not', () => {
    const notes = 531 * 4096;
    expect(after({ vmalloc: new Map([['pcpu_create_chunk', notes]]) })).toEqual([]);
    expect(after({ vmalloc: new Map([['pcpu_create_chunk', 2 * notes]]) })).toHaveLength(1);
  });

  test('a single process that was killed', () => {
    expect(after({ oomKills: 1 })).toEqual(['oom-kill +1']);
  });

  test('one slab object in a hundred made, also of a cache that is new', () => {
    expect(after({ slab: new Map([['kmalloc-1k', 7000]]) })).toEqual([]);
    expect(after({ slab: new Map([['kmalloc-1k', 7001]]) })).toEqual(['slab kmalloc-1k +2001']);
    expect(after({ slab: new Map([['edgpu_job', 2001]]) })).toEqual(['slab edgpu_job +2001']);
  });

  test("but not what the DMA API's debugging leaves behind, which shows only when it has given up", () => {
    const slab = new Map([['radix_tree_node', 11_132]]);
    expect(after({ slab })).toEqual(['slab radix_tree_node +11132']);
    expect(after({ slab, dmaDebugOff: true })).toEqual([]);
    expect(after({ slab: new Map([['kmalloc-1k', 11_132]]), dmaDebugOff: true })).toHaveLength(1);
  });

  test("but not kmemleak's records, of which each cache has some", () => {
    expect(after({ slab: new Map([['kmemleak_object', 11_132]]) })).toEqual([]);
  });

  test('a counter that the kernel does not have is no clean bill', () => {
    expect(after({ shmem: NaN })).toEqual(['shmem +NaN']);
    expect(after({ slab: new Map() })).toEqual(['slab +NaN']);
    expect(after({ vmalloc: new Map() })).toEqual(['vmalloc +NaN']);
  });
});
