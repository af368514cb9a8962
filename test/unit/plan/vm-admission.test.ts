import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadMachineProfile } from '../../../src/config/machine-profile.ts';
import { defaultMaxVms } from '../../../src/plan/rig-context.ts';
import { fits, footprint, takeRoom } from '../../../src/plan/vm-admission.ts';

const GIB = 2 ** 30;

test('processors: one VM more than there are', () => {
  expect([1, 2, 16].map((processors) => defaultMaxVms(processors))).toEqual([2, 3, 17]);
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

describe('claims of several processes', () => {
  let folder = '';
  beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-rooms-'))));
  afterEach(() => rm(folder, { recursive: true }));

  /** What a process that started at `since` says it may take: more than any host has. */
  const foreign = async (since: string): Promise<void> =>
    writeFile(path.join(folder, '00'), JSON.stringify({ bytes: 2 ** 60, owner: process.pid, since }));
  const startedAt = async (): Promise<string> =>
    (await readFile('/proc/self/stat', 'utf8')).split(') ').at(-1)?.split(' ')[19] ?? '';

  test('whoever came earlier is counted, until that one leaves', async () => {
    const profile = await loadMachineProfile('tight');
    await foreign(await startedAt());
    const waited = takeRoom(profile, 64, AbortSignal.timeout(200), folder);
    await expect(waited).rejects.toThrow('aborted');
    await rm(path.join(folder, '00'));
    const room = await takeRoom(profile, 64, AbortSignal.timeout(10_000), folder);
    room.usedBy(process.pid);
    room.leave();
    expect(await readdir(folder)).toEqual([]);
  });

  test('whoever is gone is not, though another process has the number now', async () => {
    await foreign('1');
    const room = await takeRoom(await loadMachineProfile('tight'), 64, AbortSignal.timeout(10_000), folder);
    room.leave();
    expect(await readdir(folder)).toEqual([]);
  });
});
