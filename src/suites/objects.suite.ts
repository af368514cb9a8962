/**
 * Fifty thousand objects at a time, each with its own content: they all fit, they all keep it, and when they are freed, or
 * their owner is killed, nothing of them stays in any slab cache, in shmem or in vmalloc. On a machine of its own.
 */
import { describe, expect } from 'vitest';
import { dmaComplaints } from '../suite/dma-witnesses.ts';
import { test } from '../suite/fixtures.ts';
import { scaled } from '../suite/flavour-scale.ts';
import { stockComplaints, takeStock } from '../suite/memory-stock.ts';
import { objectsReport } from '../suite/stress-program.ts';

const dmaBits = 40;
/** As many as fit into the patience of a slow kernel: that none of them stays behind is the same claim with fewer. */
const COUNT = scaled(50_000);
const ROUNDS = 3;
const many = { count: COUNT, 'object-size': 4096 };

describe('50,000 objects', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits });

  test('are made, used and freed, again and again, and nothing grows', async ({ guest, gpu, backend, run, record }) => {
    await gpu.load({ backend });
    // Caches that grow once with their users are no leak.
    await run('objects', many, objectsReport);
    const before = await takeStock(guest);
    for (let round = 0; round < ROUNDS; round++) {
      const { report, witnesses } = await run('objects', many, objectsReport);
      expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0, objectsVerified: COUNT });
      expect(dmaComplaints(witnesses, dmaBits), JSON.stringify(witnesses)).toEqual([]);
      Object.assign(record.metrics, costs(report.amongFew, 'AmongFew'), costs(report.amongAll, 'AmongAll'));
    }
    expect(stockComplaints(before, await takeStock(guest), ROUNDS * COUNT)).toEqual([]);
  });

  test('are freed when their owner is killed; control: until then, they are seen', async ({ guest, gpu, backend }) => {
    await gpu.load({ backend });
    const before = await takeStock(guest);
    await guest.runInBackground(
      `edgpu-stress objects --count ${String(COUNT)} --object-size 4096 --seed 1 --hold yes`,
      {
        until: 'holding',
      },
    );
    const held = stockComplaints(before, await takeStock(guest), COUNT);
    expect(held).toContainEqual(expect.stringMatching(/^shmem \+/));
    expect(held).toContainEqual(expect.stringMatching(/^slab edgpu|^slab kmalloc/));
    await guest.killAll('objects');
    expect(stockComplaints(before, await takeStock(guest), COUNT)).toEqual([]);
  });
});

function costs(cost: Readonly<Record<string, number>>, among: string): Record<string, number> {
  return Object.fromEntries(Object.entries(cost).map(([name, value]) => [`${name}${among}`, value]));
}
