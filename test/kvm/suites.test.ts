/** Suites under KVM, with their controls, by `--effort 2`: they take long. */
import { describe, expect, test } from 'vitest';
import { KvmHost } from './kvm-host.ts';

const EFFORT = Number(process.env['DGPU_RIG_EFFORT'] ?? '1');

/** Each on the machine that its tests ask for: of another one the rig would ask this host for KVM, which has none. */
const PARTS = [
  { suites: ['smoke'], machine: 'tiers-46', filter: 'dma-bits 32' },
  { suites: ['smoke'], machine: 'tiers-46', filter: 'dma-bits 40|bouncing' },
  { suites: ['suspend'], machine: 'noswap', filter: 'idle: to RAM|control: VRAM that is not saved' },
  { suites: ['hibernate'], machine: 'tight', filter: 'engines at work' },
  { suites: ['hibernate'], machine: 'tight', filter: 'control: VRAM that is not saved' },
  { suites: ['runtime-pm'], machine: 'noswap', filter: 'sleeps, loses its memory|control: VRAM' },
] as const;

describe.skipIf(EFFORT === 1)('under KVM', () => {
  test.for(PARTS)('$suites $filter', async ({ suites, machine, filter }) => {
    const host = await KvmHost.boot();
    const results = await host.run(suites, { machine, dmaBits: [32, 40] }, filter);
    const judged = results.filter(({ status }) => status !== 'skip');
    expect(judged).not.toEqual([]);
    expect(judged.filter(({ status }) => status !== 'pass')).toEqual([]);
    // Those that count instructions are TCG's on any host.
    expect(new Set(judged.map(({ accelerator }) => accelerator))).toEqual(new Set(['kvm']));
  });
});
