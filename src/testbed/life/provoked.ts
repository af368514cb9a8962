/** What a test makes its kernel say on purpose. */
import type { KernelReportKind } from '../../vm/kernel-log/kernel-report-kinds.ts';
import type { KernelReport, KernelWarning } from '../../vm/kernel-log/kernel-report.ts';

/** A kind of kernel reports, or a pattern for lines of level warning or worse that belong to no report. */
export type Provoked = KernelReportKind | RegExp;

interface Said {
  readonly reports: readonly Pick<KernelReport, 'kind'>[];
  readonly warnings: readonly Pick<KernelWarning, 'text'>[];
}

/** Those of `provokes` that the kernel has not said. */
export function notSaid(provokes: readonly Provoked[], { reports, warnings }: Said): Provoked[] {
  return provokes.filter((expected) => {
    if (expected instanceof RegExp) return !warnings.some(({ text }) => expected.test(text));
    return !reports.some(({ kind }) => kind === expected);
  });
}

/** The lines that the test does not provoke. */
export function unprovoked<Line extends Pick<KernelWarning, 'text'>>(
  lines: readonly Line[],
  provokes: readonly Provoked[],
): Line[] {
  const patterns = provokes.filter((expected) => expected instanceof RegExp);
  return lines.filter(({ text }) => !patterns.some((pattern) => pattern.test(text)));
}

export function provokedKinds(provokes: readonly Provoked[]): KernelReportKind[] {
  return provokes.filter((expected) => typeof expected === 'string');
}
