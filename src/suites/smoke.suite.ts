/**
 * The main job, end to end, once per DMA mask: buffer objects worth more than the memory the device can reach are written by
 * CPU, moved by the device, swapped out and in, and read back by both. The controls prove that each oracle can say no.
 */
import { describe, expect, inject } from 'vitest';
import { contentComplaints, dmaComplaints, hearWitnesses, swapComplaints } from '../suite/dma-witnesses.ts';
import { test } from '../suite/fixtures.ts';
import type { Gpu, StressReport } from '../suite/gpu.ts';
import { reachableFreeBytes } from '../suite/proc-files.ts';

const MIB = 2 ** 20;
const OBJECT_SIZE = 4 * MIB;
/** How much more than what is free: enough that neither reclaim of page cache nor a cheap guess avoids swapping. */
const SURPLUS = 64 * MIB;
const DEADLINE_MS = 300_000;

describe.for(inject('rig').selection.dmaBits.map((dmaBits) => ({ dmaBits })))('dma-bits $dmaBits', ({ dmaBits }) => {
  test.override({ dmaBits });

  test('keeps objects within reach, swaps them and gives them back intact', async ({
    guest,
    gpu,
    backend,
    seed,
    record,
    annotate,
  }) => {
    await gpu.load({ backend });
    const bytes = roundUp(reachableFreeBytes(await guest.zones(), dmaBits) + SURPLUS, OBJECT_SIZE);
    await annotate(`stressing ${String(bytes / MIB)} MiB`, 'step');
    const before = await guest.vmstat();
    const report = await gpu.stress({ bytes, objectSize: OBJECT_SIZE, seed, deadlineMs: DEADLINE_MS });
    const { faultEvents, ...metrics } = await hearWitnesses(guest, gpu, before);
    Object.assign(record.metrics, metrics, { bytesVerified: report.bytesVerified });

    const witnesses = { ...metrics, faultEvents };
    expect(contentComplaints(report, bytes), report.firstError).toEqual([]);
    expect(dmaComplaints(witnesses, dmaBits), JSON.stringify(witnesses)).toEqual([]);
    expect(swapComplaints(witnesses), JSON.stringify(witnesses)).toEqual([]);
  });

  test('control: without the limit in the driver, the device faults and every witness says so', async ({
    guest,
    gpu,
    backend,
    seed,
    record,
    annotate,
  }) => {
    await gpu.load({ backend, dmaBits: 64 });
    const bytes = roundUp(reachableFreeBytes(await guest.zones(), dmaBits) + SURPLUS, OBJECT_SIZE);
    await annotate(`stressing ${String(bytes / MIB)} MiB`, 'step');
    const before = await guest.vmstat();
    const report = await stressOrFail(gpu, bytes, seed);
    const { faultEvents, ...metrics } = await hearWitnesses(guest, gpu, before);
    Object.assign(record.metrics, metrics, { bytesVerified: report?.bytesVerified ?? 0 });

    const complaints = dmaComplaints({ ...metrics, faultEvents }, dmaBits);
    expect(complaints).toContain('device-fault');
    expect(complaints).toContain('address-above-limit');
    expect(complaints).not.toContain('witnesses-disagree');
    expect(report ? contentComplaints(report, bytes) : ['wrong-content']).toEqual(['wrong-content']);
  });
});

/** Without its limit the stress program may also stop half-way, with no report. */
async function stressOrFail(gpu: Gpu, bytes: number, seed: number): Promise<StressReport | undefined> {
  try {
    return await gpu.stress({ bytes, objectSize: OBJECT_SIZE, seed, deadlineMs: DEADLINE_MS });
  } catch (error) {
    if (error instanceof Error && error.message.includes('no report')) return undefined;
    throw error;
  }
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
