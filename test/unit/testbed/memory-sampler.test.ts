import { expect, test } from 'vitest';
import { parseSample } from '../../../src/testbed/guest/memory-sampler.ts';

const MEMORY = `MemAvailable:    1000 kB
Shmem:             10 kB
SwapTotal:        300 kB
SwapFree:         100 kB
pswpin 2
pswpout 3`;

test('a sample is in bytes, and has of the device what its driver says', () => {
  const base = {
    timeMs: 7,
    available: 1_024_000,
    shmem: 10_240,
    swapUsed: 204_800,
    swappedIn: 8192,
    swappedOut: 12_288,
  };
  expect(parseSample(MEMORY, 7)).toEqual(base);
  expect(parseSample(`${MEMORY}\n  usage: 4096\npinned_pages: 2`, 7)).toEqual({ ...base, vram: 4096, gtt: 8192 });
});

test('what is cut short is no sample', () => {
  expect(parseSample('Shmem: 10 kB', 7)).toBeUndefined();
});
