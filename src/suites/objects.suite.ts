/**
 * Fifty thousand objects at a time, each with its own content: they all fit, they all keep it, and when they are freed,
 * or their owner is killed, nothing of them stays in any slab cache, in shmem or in vmalloc. And large ones, of which
 * VRAM has room only in many pieces. On a machine of its own.
 */
import { describe, expect } from 'vitest';
import { z } from 'zod';
import { dmaComplaints } from '../testbed/witnesses/dma-witnesses.ts';
import { testedCases } from '../plan/tested-cases.ts';
import { test } from '../testbed/fixtures.ts';
import { scaled } from '../testbed/life/flavour-scale.ts';
import { GPU_MEMORY } from '../config/gpu-memory.ts';
import { stockComplaints, takeStock } from '../testbed/guest/memory-stock.ts';
import { objectsReport, programReport } from '../testbed/programs/stress-program.ts';

const dmaBits = 40;
/** As many as fit into the patience of a slow kernel: that none of them stays behind is the same claim with fewer. */
const COUNT = scaled(50_000);
const ROUNDS = 3;
const many = { count: COUNT, 'object-size': 4096 };

test.override({ stateless: true });

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

/** More than other users of a slab cache come and go with. */
const FEW = { count: 4000, 'object-size': 4096 };

describe('4,000 objects whose pages are not shmem’s', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits });

  test.for(testedCases(['backup', 'legacy'] as const, (other) => other === 'backup'))(
    'leave nothing behind either, backend %s',
    async (other, { guest, gpu, run }) => {
      await gpu.load({ backend: other });
      await run('objects', FEW, objectsReport);
      const before = await takeStock(guest);
      const { report } = await run('objects', FEW, objectsReport);
      expect(report, report.firstError).toMatchObject({ ok: true, mismatches: 0, objectsVerified: FEW.count });
      expect(stockComplaints(before, await takeStock(guest), FEW.count)).toEqual([]);
    },
  );
});

const MIB = 2 ** 20;
const piecesReport = programReport.extend({
  bytesVerified: z.number(),
  checksumsVerified: z.number(),
  neighboursVerified: z.number(),
  pieces: z.number(),
  otherPieces: z.number(),
});

describe('VRAM in pieces', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits });

  /** Two of them fill half of VRAM's holes. */
  const shape = { piece: MIB / 4, 'object-size': 32 * MIB };
  const most = shape['object-size'] / shape.piece;

  test.for(['cached', 'wc'])('%s: objects fill what others left', async (caching, { gpu, backend, run }) => {
    await gpu.load({ backend });
    const { report, witnesses } = await run('pieces', { ...shape, caching }, piecesReport);
    expect(report.ok, report.firstError).toBe(true);
    expect(Math.min(report.pieces, report.otherPieces)).toBe(most);
    expect(report.bytesVerified).toBe(2 * shape['object-size']);
    expect(report.checksumsVerified).toBe(4);
    expect(report.neighboursVerified).toBe((GPU_MEMORY.vramMiB * MIB) / shape.piece / 2);
    expect(dmaComplaints(witnesses, dmaBits)).toEqual([]);
  });

  test('control: with no others, they are in one piece; and a bit that changes is seen', async ({
    gpu,
    backend,
    run,
  }) => {
    await gpu.load({ backend });
    const { report } = await run('pieces', { ...shape, whole: 'yes', lose: 'yes' }, piecesReport);
    expect([report.pieces, report.otherPieces]).toEqual([1, 1]);
    // By the device's checksum and by the CPU.
    expect(report.mismatches).toBe(2);
  });
});

function costs(cost: Readonly<Record<string, number>>, among: string): Record<string, number> {
  return Object.fromEntries(Object.entries(cost).map(([name, value]) => [`${name}${among}`, value]));
}
