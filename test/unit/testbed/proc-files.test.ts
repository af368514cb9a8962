import { describe, expect, test } from 'vitest';
import {
  parseMeminfo,
  parseNodeMeminfo,
  parseSlabinfo,
  parseVmallocinfo,
  parseVmstat,
  parseZoneInfo,
  reachableFreeBytes,
} from '../../../src/testbed/guest/proc-files.ts';

const zone = (node: number, name: string, free: number, present: number, spanned: number, start: number): string => `\
Node ${node}, zone ${name.padStart(8)}
  pages free     ${free}
        boost    0
        min      22
        low      33
        high     44
        spanned  ${spanned}
        present  ${present}
        managed  ${present}
        cma      0
      nr_free_pages ${free}
  start_pfn:           ${start}
`;

const ZONES = parseZoneInfo(
  zone(0, 'DMA', 3000, 3998, 4095, 1) +
    zone(0, 'DMA32', 90_000, 126_000, 126_848, 4096) +
    zone(0, 'Normal', 0, 0, 0, 0) +
    zone(1, 'Normal', 131_072, 131_072, 131_072, 2 ** 33 / 4096) +
    zone(2, 'Normal', 131_072, 131_072, 131_072, 2 ** 40 / 4096) +
    zone(3, 'Normal', 65_536, 65_536, 65_536, 2 ** 48 / 4096),
);

describe('zones', () => {
  test('only those with pages, with their addresses', () => {
    expect(ZONES.map(({ node, name }) => `${String(node)} ${name}`)).toEqual([
      '0 DMA',
      '0 DMA32',
      '1 Normal',
      '2 Normal',
      '3 Normal',
    ]);
    expect(ZONES[3]).toMatchObject({ startAddress: 2 ** 40, endAddress: 2 ** 40 + 2 ** 29, freeBytes: 2 ** 29 });
    expect(ZONES[3]?.highWatermarkBytes).toBe(44 * 4096);
  });

  test.for([
    [32, 93_000 * 4096],
    [40, 93_000 * 4096 + 2 ** 29],
    [48, 93_000 * 4096 + 2 * 2 ** 29],
    [64, 93_000 * 4096 + 2 * 2 ** 29 + 2 ** 28],
  ] as const)('%i bits reach what lies wholly below', ([bits, bytes]) => {
    expect(reachableFreeBytes(ZONES, bits)).toBe(bytes);
  });

  test('a zone that ends on the limit is reachable, one byte more is not', () => {
    const [low] = parseZoneInfo(zone(0, 'Normal', 10, 16, 16, 2 ** 20 - 16));
    if (!low) throw new Error('no zone');
    expect(reachableFreeBytes([low], 32)).toBe(10 * 4096);
    expect(reachableFreeBytes([{ ...low, endAddress: low.endAddress + 1 }], 32)).toBe(0);
  });
});

test('vmstat', () => {
  expect(parseVmstat('pswpin 3\npswpout 17\nnr_free_pages 5\n').get('pswpout')).toBe(17);
});

test('meminfo is in bytes, but for what is counted', () => {
  const meminfo = parseMeminfo('MemTotal:         484044 kB\nActive(anon):        332 kB\nHugePages_Total:       3\n');
  expect([...meminfo]).toEqual([
    ['MemTotal', 484_044 * 1024],
    ['Active(anon)', 332 * 1024],
    ['HugePages_Total', 3],
  ]);
});

test("a line of the nodes' meminfo, in bytes", () => {
  const text = 'Node 0 MemTotal:  100 kB\nNode 0 Shmem:  4 kB\nNode 0 ShmemHugePages: 8 kB\nNode 1 Shmem:   0 kB\n';
  expect(parseNodeMeminfo(text, 'Shmem')).toEqual([4096, 0]);
  expect(parseNodeMeminfo(text, 'SwapCached')).toEqual([]);
});

test('slabinfo gives the objects in use, and no header', () => {
  const slabinfo = parseSlabinfo(`\
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount>
# <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
shmem_inode_cache    812    840    752   10    2 : tunables    0    0    0 : slabdata     84     84      0
:a-0000104           507    507    104   39    1 : tunables    0    0    0 : slabdata     13     13      0
kmalloc-rnd-01-8k      4      4   8192    4    8 : tunables    0    0    0 : slabdata      1      1      0
`);
  expect([...slabinfo]).toEqual([
    ['shmem_inode_cache', 812],
    [':a-0000104', 507],
    ['kmalloc-rnd-01-8k', 4],
  ]);
});

test('vmallocinfo: bytes of pages by who asked for them, but nothing that is only mapped', () => {
  const text = [
    '0x(____ptrval____)-0x(____ptrval____)   20480 dup_task_struct+0x42/0x1a0 pages=4 vmalloc N0=4',
    '0x(____ptrval____)-0x(____ptrval____)   20480 dup_task_struct+0x42/0x1a0 pages=4 vmalloc N0=3 N1=1',
    '0x(____ptrval____)-0x(____ptrval____)   12288 edgpu_load+0x10/0x200 [edgpu] pages=2 vmalloc N0=2',
    '0x(____ptrval____)-0x(____ptrval____)    8192 acpi_os_map_iomem+0x1b/0x1c0 phys=0x00000000bffe0000 ioremap',
    '0x(____ptrval____)-0x(____ptrval____) 2097152 pcpu_get_vm_areas+0x0/0x1000 vmalloc',
    '0x(____ptrval____)-0x(____ptrval____)    8192 unpurged vm_area',
  ].join('\n');
  expect([...parseVmallocinfo(text)]).toEqual([
    ['dup_task_struct', 32_768],
    ['edgpu_load', 8192],
  ]);
});
