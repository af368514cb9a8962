/**
 * Suites under KVM, with their controls, by `--effort 2`: long, and not reliable yet, for reasons that docs/kvm.md
 * tells.
 */
import { describe, expect, test } from 'vitest';
import { KvmHost } from './kvm-host.ts';

const EFFORT = Number(process.env['DGPU_RIG_EFFORT'] ?? '1');

const PARTS = [
  { suites: ['smoke'], filter: 'dma-bits 32' },
  { suites: ['smoke'], filter: 'dma-bits 40|bouncing' },
  { suites: ['suspend'], filter: 'S3' },
  { suites: ['hibernate'], filter: '' },
  { suites: ['runtime-pm'], filter: '' },
] as const;

describe.skipIf(EFFORT === 1)('under KVM', () => {
  test.for(PARTS)('$suites $filter', async ({ suites, filter }) => {
    const host = await KvmHost.boot();
    const results = await host.run(suites, { machine: 'tiers-46', dmaBits: [32, 40] }, filter);
    const judged = results.filter(({ status }) => status !== 'skip');
    expect(judged).not.toEqual([]);
    expect(judged.filter(({ status }) => status !== 'pass')).toEqual([]);
    // Those that count instructions are TCG's on any host.
    expect(new Set(judged.map(({ accelerator }) => accelerator))).toEqual(new Set(['kvm']));
  });
});
