/** The verdict of a run as a table for people. */
import { elapsed } from './elapsed.ts';
import { testTitle } from './result-text.ts';
import type { TestResult } from '../run-report.ts';

const WORDS: Readonly<Record<TestResult['status'], string>> = {
  pass: 'pass',
  fail: 'FAIL',
  skip: 'skip',
  error: 'ERROR',
  xfail: 'xfail',
};

const SHOWN_METRICS = [
  'spawnToCommandMs',
  'deviceFaults',
  'maxDmaAddress',
  'swiotlbBounces',
  'pswpout',
  'pswpin',
  'bytesVerified',
] as const;

export function verdictTable(results: readonly TestResult[]): string {
  const rows = results.map(row);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const lines = rows.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return lines.join('\n');
}

/** A plan may run the same test with several kernels. */
function kernelOf({ test, params }: TestResult): string {
  const flavour = String(params['flavour'] ?? 'plain');
  return flavour === 'plain' || test.includes(flavour) ? '' : ` (${flavour})`;
}

function row(result: TestResult): string[] {
  const { status, failure, durationMs, metrics, rate, message = '' } = result;
  const repeated =
    rate === undefined ? [] : [`repeated: failed ${String(rate.failures)} of ${String(rate.runs)} times`];
  const shown = SHOWN_METRICS.filter((name) => name in metrics).map((name) => `${name} ${metric(name, metrics[name])}`);
  return [
    failure === 'kernel' && status === 'fail' ? 'KERNEL' : WORDS[status],
    `${testTitle(result)}${kernelOf(result)}`,
    elapsed(durationMs),
    status === 'skip' ? message : [...repeated, ...shown].join(', '),
  ];
}

function metric(name: string, value = 0): string {
  if (name === 'maxDmaAddress') return `0x${value.toString(16)}`;
  return name === 'bytesVerified' ? `${String(Math.round(value / 2 ** 20))} MiB` : String(value);
}
