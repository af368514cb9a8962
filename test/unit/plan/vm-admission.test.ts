import { describe, expect, test } from 'vitest';
import { loadMachineProfile } from '../../../src/config/machine-profile.ts';
import { defaultMaxVms, fits, footprint } from '../../../src/plan/vm-admission.ts';

const GIB = 2 ** 30;

test('processors: one VM for two of them, and never none', () => {
  expect([1, 2, 3, 4, 16].map((processors) => defaultMaxVms(processors))).toEqual([1, 1, 1, 2, 8]);
});

test('a machine needs its RAM, its VRAM and QEMU', async () => {
  const [tiers, tight, pair] = await Promise.all(['tiers', 'tight', 'pair'].map(loadMachineProfile));
  if (!tiers || !tight || !pair) throw new Error('machines are missing');
  expect(footprint(tiers)).toBeGreaterThan(2 * GIB);
  expect(footprint(tight)).toBeLessThan(footprint(tiers));
  expect(footprint(pair) - footprint(tiers)).toBe(256 * 2 ** 20);
});

describe('room for one more', () => {
  const vm = (bytes: number, resident: number) => ({ bytes: bytes * GIB, resident: resident * GIB });

  test('is there for the first, whatever it needs', () => {
    expect(fits(64 * GIB, [], GIB)).toBe(true);
  });

  test('counts what those that run may still take, and a reserve', () => {
    expect(fits(2 * GIB, [vm(2, 2)], 3 * GIB)).toBe(true);
    expect(fits(2 * GIB, [vm(2, 0)], 3 * GIB)).toBe(false);
    expect(fits(2 * GIB, [vm(2, 2)], 2 * GIB)).toBe(false);
    // One that has more than it was thought to need makes no room.
    expect(fits(2 * GIB, [vm(1, 3), vm(1, 0)], 3 * GIB)).toBe(false);
  });
});
