/** What the samples of a bench come to. */
import type { Measurement } from '../../plan/rig-context.ts';
import type { MeasuredQuantity } from '../run-report.ts';

export function withMedians({ samples, ...measurement }: Measurement): MeasuredQuantity {
  const medians = Object.entries(samples).map(([name, values]) => [name, median(values)] as const);
  const [, subject = 0] = medians[0] ?? [];
  const others = medians.slice(1).filter(([, value]) => value !== 0);
  return {
    ...measurement,
    samples: Object.fromEntries(Object.entries(samples).map(([name, values]) => [name, [...values]])),
    medians: Object.fromEntries(medians),
    ratios: Object.fromEntries(others.map(([name, value]) => [name, subject / value])),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  if (low === undefined || high === undefined) throw new Error('The median of nothing was asked for');
  return (low + high) / 2;
}
