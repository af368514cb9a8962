/**
 * One claim for every combination of the plan, machine × mask × backend × caching × kernel: objects that the CPU writes
 * come back intact from the device's engines, VRAM and swap, and the device is never asked to reach further than it
 * can. Each combination alone is quickly tested; what only goes wrong together is what this suite is for.
 */
import { describe, expect } from 'vitest';
import { contentComplaints, dmaComplaints } from '../testbed/witnesses/dma-witnesses.ts';
import { test } from '../testbed/fixtures.ts';
import { smokeReport } from '../testbed/programs/stress-program.ts';
import { testedCombinations } from '../plan/tested-cases.ts';

const MIB = 2 ** 20;
/** Little, but more than one object for each of the engines, and large enough to be moved in parts. */
const SHAPE = { bytes: 24 * MIB, 'object-size': 4 * MIB };

test.override({ stateless: true });

describe.for(testedCombinations())('%s', { concurrent: true }, ([, { machine, dmaBits, backend, caching }]) => {
  test.override({ machine, dmaBits, backend });

  test('content is kept, and limits are', async ({ gpu, run, record }) => {
    record.params['caching'] = caching;
    await gpu.load({ backend });
    const { report, witnesses } = await run('smoke', { ...SHAPE, caching }, smokeReport);
    expect(contentComplaints(report, SHAPE.bytes), report.firstError).toEqual([]);
    expect(dmaComplaints(witnesses, dmaBits), JSON.stringify(witnesses)).toEqual([]);
  });
});

describe('any combination', { concurrent: true }, () => {
  test('control: one bit that goes wrong is seen', async ({ gpu, backend, run }) => {
    await gpu.load({ backend });
    const { report } = await run('smoke', { ...SHAPE, flip: 1 }, smokeReport);
    expect(contentComplaints(report, SHAPE.bytes)).toEqual(['wrong-content']);
  });
});
