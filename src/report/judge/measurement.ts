/** What the samples of a bench come to. */
import type { Measurement } from '../../plan/rig-context.ts';
import type { MeasuredQuantity } from '../run-report.ts';
import { median } from '../../util/median.ts';

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
