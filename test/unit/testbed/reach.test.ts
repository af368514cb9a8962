import { describe, expect, test } from 'vitest';
import { parseRamRanges, reachableFreeBytes, type Zone } from '../../../src/testbed/guest/proc-files.ts';
import { memoryAbove, reachComplaints } from '../../../src/testbed/witnesses/reach.ts';

const PAGE = 4096;
const GIB = 2 ** 30;
const zone = (node: number, startAddress: number, size: number): Zone => ({
  node,
  name: 'Normal',
  startAddress,
  endAddress: startAddress + size,
  freeBytes: size,
  highWatermarkBytes: 2 * PAGE,
});
const ZONES = [zone(0, 0, GIB), zone(1, 8 * GIB, GIB), zone(2, 1024 * GIB, GIB)];
/** Of the two nodes within 40 bits: their high watermarks, and a huge folio each. */
const KEPT_FREE = 2 * (2 + 512) * PAGE;

const REPORT = {
  ok: true,
  mismatches: 0,
  objects: 2,
  resident: 2,
  bytesVerified: 4000 * PAGE,
  checksumsVerified: 2,
  othersShmem: 10 * PAGE,
  shmemOnNode: { '0': 2000 * PAGE, '1': 2000 * PAGE, '2': 0 },
};
const WITNESSES = { swiotlbBounces: 0, pswpout: 0, pswpin: 0, deviceFaults: 0, maxDmaAddress: 1, faultEvents: 0 };

describe('reach', () => {
  test('good is silent', () => {
    expect(reachComplaints({ report: REPORT, witnesses: WITNESSES }, ZONES, 40)).toEqual([]);
  });

  test.for([
    ['wrong-content', { ok: false }],
    ['wrong-content', { checksumsVerified: 1 }],
    ['not-all-resident', { resident: 1, shmemOnNode: { '0': 2000 * PAGE, '1': 2000 * PAGE - KEPT_FREE - PAGE } }],
    ['memory-above-limit', { shmemOnNode: { '0': 3989 * PAGE, '2': 11 * PAGE } }],
  ] as const)('%s: %o', ([complaint, change]) => {
    expect(reachComplaints({ report: { ...REPORT, ...change }, witnesses: WITNESSES }, ZONES, 40)).toEqual([complaint]);
  });

  test('what kswapd keeps free of nodes within the limit may be swapped, and one page more is too many', () => {
    const complaints = (pswpout: number) =>
      reachComplaints({ report: REPORT, witnesses: { ...WITNESSES, pswpout } }, ZONES, 40);
    expect(complaints(KEPT_FREE / PAGE)).toEqual([]);
    expect(complaints(KEPT_FREE / PAGE + 1)).toEqual(['swapped']);
  });

  test('objects that were let go of, and of which as much is in memory, are no loss', () => {
    const letGo = (bytes: number) => ({ ...REPORT, resident: 1, shmemOnNode: { '0': bytes } });
    expect(reachComplaints({ report: letGo(4000 * PAGE - KEPT_FREE), witnesses: WITNESSES }, ZONES, 40)).toEqual([]);
    expect(reachComplaints({ report: letGo(4000 * PAGE - KEPT_FREE - PAGE), witnesses: WITNESSES }, ZONES, 40)).toEqual(
      ['not-all-resident'],
    );
  });

  test('memory above depends on the limit', () => {
    expect([32, 40, 41].map((bits) => memoryAbove(REPORT, ZONES, bits))).toEqual([2000 * PAGE, 0, 0]);
  });
});

test("others' memory that was moved up is not ours", () => {
  const moved = { ...REPORT, shmemOnNode: { '0': 3990 * PAGE, '2': 10 * PAGE } };
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
    highWatermarkBytes: 0,
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
