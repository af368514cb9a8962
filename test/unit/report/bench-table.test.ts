import { describe, expect, test } from 'vitest';
import { benchTable } from '../../../src/report/text/bench-table.ts';
import { withMedians } from '../../../src/report/judge/measurement.ts';
import { median } from '../../../src/util/median.ts';
import type { TestResult } from '../../../src/report/run-report.ts';

test.for([
  [[3], 3],
  [[4, 1], 2.5],
  [[9, 1, 5], 5],
  [[4, 1, 3, 2], 2.5],
] as const)('the median of %o is %d', ([values, expected]) => {
  expect(median(values)).toBe(expected);
});

test('there is no median of nothing', () => {
  expect(() => median([])).toThrow('of nothing');
});

test('a subject is held against each other variant; nothing is held against 0', () => {
  const samples = { shmem: [1, 2, 3], legacy: [8], backup: [0] };
  const measured = withMedians({ quantity: 'CPU', unit: 'ms', better: 'less', samples });
  expect(measured.medians).toEqual({ shmem: 2, legacy: 8, backup: 0 });
  expect(measured.ratios).toEqual({ legacy: 0.25 });
});

describe('the table', () => {
  const result: TestResult = {
    suite: 'swap',
    test: 'evict > cached',
    params: {},
    status: 'pass',
    durationMs: 1,
    metrics: {},
    kernelReports: [],
  };

  function line(better: 'less' | 'more', shmem: number, legacy: number): string {
    const measured = withMedians({ quantity: 'it', unit: 'u', better, samples: { shmem: [shmem], legacy: [legacy] } });
    return benchTable([{ ...result, measurements: [measured] }]).split('\n')[1] ?? '';
  }

  test('says who is better, and worse, whichever way is up', () => {
    expect(line('less', 1, 2)).toContain('0.50× legacy (better)');
    expect(line('less', 2, 1)).toContain('2.00× legacy (WORSE)');
    expect(line('more', 2, 1)).toContain('2.00× legacy (better)');
    expect(line('more', 1, 2)).toContain('0.50× legacy (WORSE)');
    expect(line('less', 100, 101)).toContain('0.99× legacy (as good)');
  });

  test('names what failed before it measured anything', () => {
    expect(benchTable([{ ...result, status: 'error', message: 'no disk' }])).toContain('evict › cached: no disk');
  });

  test('has a column for every variant of a test, also where a quantity lacks one', () => {
    const one = withMedians({ quantity: 'a', unit: 'u', better: 'less', samples: { shmem: [1] }, aim: '0' });
    const two = withMedians({ quantity: 'b', unit: 'u', better: 'less', samples: { shmem: [1], legacy: [123.4] } });
    expect(benchTable([{ ...result, measurements: [one, two] }])).toMatchInlineSnapshot(`
      "swap › evict › cached  shmem  legacy  shmem is
        a [u]                 1.00       –  aim: 0
        b [u]                 1.00     123  0.01× legacy (better)
      "
    `);
  });
});
