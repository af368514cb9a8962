/** A run with one result of every kind, and text that no format likes. */
import { summarize, type RunReport, type TestResult } from '../../../src/report/run-report.ts';

const NASTY = `<b>"it's" & \u0007 # bell</b>\nsecond line`;

const base: TestResult = {
  suite: 'smoke',
  test: 'dma-bits 40 > keeps objects',
  params: { machine: 'tiers', dmaBits: 40, backend: 'shmem', seed: 1 },
  status: 'pass',
  durationMs: 12_345,
  metrics: { deviceFaults: 0, maxDmaAddress: 2 ** 40 - 1, bytesVerified: 3 * 2 ** 20 },
  kernelReports: [],
};

const kasan = {
  kind: 'kasan',
  severity: 'bug',
  title: 'BUG: KASAN: slab-use-after-free in ttm_bo_release+0x4d/0x1d0 [ttm]',
  lines: ['BUG: KASAN: slab-use-after-free in ttm_bo_release+0x4d/0x1d0 [ttm]', 'Call Trace:', ' <TASK>'],
  fatal: false,
  expected: false,
  count: 3,
  where: 'ttm_bo_release+0x4d/0x1d0 [ttm]',
} as const;

const memory = [0, 1, 2, 3].map((second) => ({
  timeMs: 1000 * second,
  available: (1000 - 200 * second) * 2 ** 20,
  swapUsed: 100 * second * 2 ** 20,
  shmem: 150 * second * 2 ** 20,
  swappedOut: 120 * second * 2 ** 20,
  swappedIn: 10 * second * 2 ** 20,
  vram: 8 * second * 2 ** 20,
  gtt: 16 * second * 2 ** 20,
}));

const results: TestResult[] = [
  {
    ...base,
    memory,
    sleeps: [100, 300].map((base) => ({
      state: 's3' as const,
      totalMs: base * 4,
      stages: ['request', 'freeze', 'suspend-devices', 'asleep', 'resume-devices', 'done'].map((name, index) => ({
        name,
        durationMs: base + index,
      })),
    })),
    deviceStatistics: { 'dma-accesses': 9000, 'dma-above-4g': 4000, 'dma-above-1t': 1000, 'dma-above-256t': 0 },
  },
  {
    ...base,
    test: 'dma-bits 48 > keeps objects',
    params: { ...base.params, dmaBits: 48 },
    status: 'fail',
    failure: 'kernel',
    message: NASTY,
    kernelReports: [{ ...kasan, lines: [...kasan.lines], seenIn: { count: 3, runs: [7, 9, 12] } }],
    warnings: [{ level: 3, text: 'edgpu: <odd> & more', count: 2, seenIn: { count: 1, runs: [7] } }],
    artifacts: '/work/artifacts/one',
    rate: { failures: 3, runs: 10 },
  },
  {
    ...base,
    test: 'dma-bits 32 > keeps objects',
    params: { ...base.params, dmaBits: 32 },
    status: 'xfail',
    message: `Expected until 2027-01-01: ${NASTY}`,
  },
  { ...base, suite: 'mmap', test: 'survives', status: 'error', failure: 'timeout', message: 'no answer' },
  { ...base, suite: 'mmap', test: 'is skipped', status: 'skip', message: 'an IOMMU translates' },
  {
    ...base,
    suite: 'mmap',
    test: 'is measured',
    measurements: [
      {
        quantity: 'time per GiB to evict',
        unit: 'ms',
        better: 'less',
        samples: { shmem: [0.9, 1, 1.4], legacy: [4, 3, 5] },
        medians: { shmem: 1, legacy: 4 },
        ratios: { legacy: 0.25 },
      },
    ],
  },
];

export const SAMPLE_REPORT: RunReport = {
  schema: 1,
  host: { cpus: 4, memoryBytes: 2 ** 34, accelerator: 'tcg' },
  kernel: { version: '7.3.4', patches: ['0001-a.patch'] },
  qemu: '10.0.13',
  startedAt: '2026-11-21T05:00:00.000Z',
  seed: 1,
  results,
  summary: summarize(results),
};
