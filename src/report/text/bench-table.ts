/** The figures of benches as a table for people: one line a quantity, and who won. */
import { testTitle } from './result-text.ts';
import type { MeasuredQuantity, TestResult } from '../run-report.ts';

/** Medians closer than this are called equal: no host is quiet enough to tell them apart. */
const SAME = 1.05;

export function benchTable(results: readonly TestResult[]): string {
  return results.flatMap(benchLines).join('\n');
}

function benchLines(result: TestResult): string[] {
  const { measurements = [], message } = result;
  const title = testTitle(result);
  if (measurements.length === 0) return [`${title}: ${message ?? 'nothing was measured'}`, ''];
  const variants = [...new Set(measurements.flatMap(({ medians }) => Object.keys(medians)))];
  const header = [title, ...variants, `${variants[0] ?? ''} is`];
  const rows = [header, ...measurements.map((measured) => row(measured, variants))];
  const widths = header.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return [...rows.map((cells) => alignedLine(cells, widths)), ''];
}

function alignedLine(cells: readonly string[], widths: readonly number[]): string {
  const isText = (column: number): boolean => column === 0 || column === widths.length - 1;
  return cells
    .map((cell, column) => (isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
    .join('  ')
    .trimEnd();
}

function row(measured: MeasuredQuantity, variants: readonly string[]): string[] {
  const { quantity, unit, medians, aim } = measured;
  const remarks = [...verdicts(measured), ...(aim === undefined ? [] : [`aim: ${aim}`])];
  return [`  ${quantity} [${unit}]`, ...variants.map((name) => figure(medians[name])), remarks.join(', ')];
}

function verdicts({ ratios, better }: MeasuredQuantity): string[] {
  return Object.entries(ratios).map(([other, ratio]) => {
    const lead = better === 'less' ? 1 / ratio : ratio;
    const word = lead > SAME ? 'better' : lead < 1 / SAME ? 'WORSE' : 'as good';
    return `${ratio.toFixed(2)}× ${other} (${word})`;
  });
}

function figure(value: number | undefined): string {
  if (value === undefined) return '–';
  if (value !== 0 && Math.abs(value) < 10) return value.toPrecision(3);
  return String(Math.round(value));
}
