import { describe, expect, test } from 'vitest';
import { parseRamRanges, reachableFreeBytes, type Zone } from '../../../src/suite/proc-files.ts';
import { memoryAbove, reachComplaints } from '../../../src/suite/reach.ts';

const GIB = 2 ** 30;
const zone = (node: number, startAddress: number, size: number): Zone => ({
  node,
  name: 'Normal',
  startAddress,
  endAddress: startAddress + size,
  freeBytes: size,
});
const ZONES = [zone(0, 0, GIB), zone(1, 8 * GIB, GIB), zone(2, 1024 * GIB, GIB)];

const REPORT = {
  ok: true,
  mismatches: 0,
  objects: 2,
  resident: 2,
  bytesVerified: 100,
  checksumsVerified: 2,
  othersShmem: 10,
  shmemOnNode: { '0': 50, '1': 50, '2': 0 },
};
const WITNESSES = { swiotlbBounces: 0, pswpout: 0, pswpin: 0, deviceFaults: 0, maxDmaAddress: 1, faultEvents: 0 };

describe('reach', () => {
  test('good is silent', () => {
    expect(reachComplaints({ report: REPORT, witnesses: WITNESSES }, ZONES, 40)).toEqual([]);
  });

  test.for([
    ['wrong-content', { ok: false }],
    ['wrong-content', { checksumsVerified: 1 }],
    ['not-all-resident', { resident: 1 }],
    ['memory-above-limit', { shmemOnNode: { '2': 4096 } }],
  ] as const)('%s: %o', ([complaint, change]) => {
    expect(reachComplaints({ report: { ...REPORT, ...change }, witnesses: WITNESSES }, ZONES, 40)).toEqual([complaint]);
  });

  test('one page swapped is too many', () => {
    expect(reachComplaints({ report: REPORT, witnesses: { ...WITNESSES, pswpout: 1 } }, ZONES, 40)).toEqual([
      'swapped',
    ]);
  });

  test('memory above depends on the limit', () => {
    expect([32, 40, 41].map((bits) => memoryAbove(REPORT, ZONES, bits))).toEqual([50, 0, 0]);
  });
});

test("others' memory that was moved up is not ours", () => {
  const moved = { ...REPORT, shmemOnNode: { '2': 10 } };
  expect(reachComplaints({ report: moved, witnesses: WITNESSES }, ZONES, 40)).toEqual([]);
});

describe('a zone across the limit', () => {
  const ram = parseRamRanges(`\
00001000-0009fbff : System RAM
  00010000-0001ffff : Kernel code
200000000-21fffffff : System RAM
10000000000-1001fffffff : System RAM
b0000000-bfffffff : PCI ECAM 0000
`);
  const across: Zone = {
    node: 0,
    name: 'Normal',
    startAddress: 2 ** 33,
    endAddress: 2 ** 40 + 2 ** 29,
    freeBytes: 700 * 2 ** 20,
  };

  test('all RAM, and nothing else', () => {
    expect(ram.map(({ start }) => start)).toEqual([0x1000, 2 ** 33, 2 ** 40]);
    expect(ram[1]?.end).toBe(2 ** 33 + 2 ** 29);
  });

  test('counts with what must be below, if all above is free', () => {
    expect(reachableFreeBytes([across], 40, ram)).toBe(188 * 2 ** 20);
    expect(reachableFreeBytes([{ ...across, freeBytes: 2 ** 20 }], 40, ram)).toBe(0);
  });

  test('does not count where nobody says what RAM there is, or above', () => {
    expect(reachableFreeBytes([across], 40)).toBe(0);
    expect(reachableFreeBytes([across], 32, ram)).toBe(0);
  });
});
