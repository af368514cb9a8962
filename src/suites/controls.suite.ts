/**
 * Each test program of the guest says so when something is wrong: a driver that has one particular bug, a device or a
 * file that is not what it should be, memory of its own that changes. docs/controls.md has the list.
 */
import { describe, expect } from 'vitest';
import { test } from '../testbed/fixtures.ts';
import { missedBy, MUTATIONS, NO_DEVICE, SURROUNDINGS, type Control } from '../testbed/programs/controls.ts';
import { UNREACHABLE } from '../testbed/sleep/sleep-suite.ts';
import type { Guest } from '../testbed/guest/guest.ts';

test.override({ stateless: true });

/** In one guest, one after the other; all that was missed, not only the first. */
async function missed(guest: Guest, controls: readonly Control[], seed: number): Promise<string[]> {
  const all: string[] = [];
  for (const control of controls) all.push(...([await missedBy(guest, control, seed)].filter(Boolean) as string[]));
  return all;
}

describe('control', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits: 40, backend: 'shmem' });

  test('programs find the bugs of a driver', async ({ guest, gpu, backend, seed }) => {
    await gpu.load({ backend });
    expect(await missed(guest, MUTATIONS, seed)).toEqual([]);
    // None of them is the driver's own.
    expect(await gpu.statistics()).toMatchObject({ faults: 0 });
    await gpu.unload();
  });
});

describe('control', { concurrent: true }, () => {
  test.override({ machine: 'tiers', dmaBits: 40, backend: 'shmem', provokes: [UNREACHABLE] });

  test('programs find what is wrong around them', async ({ guest, gpu, backend, seed }) => {
    await gpu.load({ backend });
    expect(await missed(guest, SURROUNDINGS, seed)).toEqual([]);
    await gpu.unload();
    await gpu.inject({ kind: 'dead' });
    expect(await missed(guest, NO_DEVICE, seed)).toEqual([]);
  });
});
