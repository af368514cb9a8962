import { expect, test } from 'vitest';
import { runReport, summarize, type TestResult } from '../../../src/report/run-report.ts';
import { verdictTable } from '../../../src/report/text/verdict-table.ts';

const RESULT: TestResult = {
  suite: 'smoke',
  test: 'dma-bits 40 > keeps objects',
  params: { machine: 'tiers', dmaBits: 40, backend: 'shmem', seed: 1 },
  status: 'pass',
  durationMs: 12_345,
  metrics: { deviceFaults: 0, maxDmaAddress: 2 ** 40 - 1, bytesVerified: 3 * 2 ** 20, bootMs: 1900 },
  kernelReports: [],
};

test('the JSON form is what others rely on', () => {
  const results = [RESULT, { ...RESULT, status: 'error' as const, message: 'QEMU died' }];
  const report = {
    schema: 1,
    host: { cpus: 4, memoryBytes: 1, accelerator: 'tcg' },
    kernel: { version: '7.3.4', patches: ['0001-a.patch'] },
    qemu: '10.0.13',
    results,
    summary: summarize(results),
  };
  expect(runReport.parse(JSON.parse(JSON.stringify(report)))).toEqual(report);
  expect(report.summary).toEqual({ pass: 1, fail: 0, skip: 0, error: 1, xfail: 0 });
  expect(runReport.safeParse({ ...report, schema: 2 }).success).toBe(false);
});

test('the verdict table shows what the oracles judged, addresses in hexadecimal, how often a failure came again, and with which kernel', () => {
  const failed = { ...RESULT, status: 'fail', metrics: {}, rate: { failures: 3, runs: 8 } } as const;
  const crashed = { ...RESULT, status: 'fail', failure: 'kernel', metrics: {} } as const;
  const elsewhere = { ...RESULT, metrics: {}, params: { ...RESULT.params, flavour: 'kasan' } };
  expect(verdictTable([RESULT, failed, crashed, elsewhere])).toBe(
    [
      'pass    smoke › dma-bits 40 › keeps objects          12.3 s  deviceFaults 0, maxDmaAddress 0xffffffffff, bytesVerified 3 MiB',
      'FAIL    smoke › dma-bits 40 › keeps objects          12.3 s  repeated: failed 3 of 8 times',
      'KERNEL  smoke › dma-bits 40 › keeps objects          12.3 s',
      'pass    smoke › dma-bits 40 › keeps objects (kasan)  12.3 s',
    ].join('\n'),
  );
});
