/** Lines of level warning or worse that are part of no report: worth a look where nobody knows why they come. */
import { holds, type Excuse } from '../../util/expiry.ts';
import type { KernelWarning } from './kernel-report.ts';

/** A line that nobody knows, as it was first said, and how often. */
export interface UnknownWarning extends KernelWarning {
  readonly count: number;
}

export interface KnownWarning extends Excuse {
  readonly text: RegExp;
  readonly example: string;
}

/** By then the rig tests another kernel, whose lines somebody has to look at. */
const until = '2027-05-31';

export const KNOWN_WARNINGS: readonly KnownWarning[] = [
  {
    text: /^Disabling lock debugging due to kernel taint$/,
    example: 'Disabling lock debugging due to kernel taint',
    reason: 'a consequence of a report',
    until,
  },
];

/** In the order in which they were first said. */
export function unknownWarnings(warnings: readonly KernelWarning[], now = new Date()): UnknownWarning[] {
  const known = KNOWN_WARNINGS.filter((excuse) => holds(excuse, now));
  const found = new Map<string, UnknownWarning>();
  for (const warning of warnings) {
    if (known.some(({ text }) => text.test(warning.text))) continue;
    const key = warning.text.replaceAll(/\b(?:0x[0-9a-f]+|[0-9a-f]*\d[0-9a-f]*)\b/g, '#');
    const earlier = found.get(key);
    found.set(key, earlier ? { ...earlier, count: earlier.count + 1 } : { ...warning, count: 1 });
  }
  return [...found.values()];
}
