import { describe, expect, test } from 'vitest';
import { contentComplaints, dmaComplaints, swapComplaints } from '../../../src/testbed/witnesses/dma-witnesses.ts';

const GOOD = {
  swiotlbBounces: 0,
  pswpout: 10,
  pswpin: 5,
  deviceFaults: 0,
  maxDmaAddress: 2 ** 40 - 1,
  faultEvents: 0,
};

const REPORT = {
  ok: true,
  bytesVerified: 100,
  checksumsVerified: 2,
  objects: 2,
  mismatches: 0,
  pagesInSwap: 10,
  longestJobMs: 1,
  longestFaultMs: 1,
  phasesMs: {},
};

describe('every oracle is silent on good and speaks on bad', () => {
  test('good', () => {
    expect(dmaComplaints(GOOD, 40)).toEqual([]);
    expect(swapComplaints(REPORT)).toEqual([]);
    expect(contentComplaints(REPORT, 100)).toEqual([]);
  });

  test.for([
    ['address-above-limit', { maxDmaAddress: 2 ** 40 }],
    ['no-dma', { maxDmaAddress: 0 }],
    ['bounced', { swiotlbBounces: 1 }],
    ['device-fault', { deviceFaults: 1, faultEvents: 1 }],
    ['witnesses-disagree', { faultEvents: 1 }],
  ] as const)('%s', ([complaint, change]) => {
    expect(dmaComplaints({ ...GOOD, ...change }, 40)).toEqual([complaint]);
  });

  test('a fault that the host was not told of is two complaints', () => {
    expect(dmaComplaints({ ...GOOD, deviceFaults: 1 }, 40)).toEqual(['device-fault', 'witnesses-disagree']);
  });

  test('not swapped, whatever others swap', () => {
    expect(swapComplaints({ ...REPORT, pagesInSwap: 0 })).toEqual(['not-swapped']);
  });

  test.for([{ ok: false }, { mismatches: 1 }, { bytesVerified: 99 }, { checksumsVerified: 0 }])(
    'content: %o',
    (change) => {
      expect(contentComplaints({ ...REPORT, ...change }, 100)).toEqual(['wrong-content']);
    },
  );
});
