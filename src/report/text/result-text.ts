/** Parts of a result as text, the same in every rendering that has them. */
import type { ReportedKernelBug, ReportedWarning, TestResult } from '../run-report.ts';

/** A test as every text for people names it; what `--filter` is compared with. */
export function testTitle({ suite, test }: Pick<TestResult, 'suite' | 'test'>): string {
  return `${suite} › ${test.replaceAll(' > ', ' › ')}`;
}

/** In the order in which they ran. */
export function bySuite(results: readonly TestResult[]): ReadonlyMap<string, readonly TestResult[]> {
  const suites = new Map<string, TestResult[]>();
  for (const result of results) {
    const members = suites.get(result.suite);
    if (members) members.push(result);
    else suites.set(result.suite, [result]);
  }
  return suites;
}

/** The heading says what the lines don't: what it is, how often it came, where in the source. */
export function kernelReportText(report: ReportedKernelBug): string {
  return [kernelReportHeading(report), ...(report.source ?? []), ...report.lines].join('\n');
}

export function kernelReportHeading({ kind, count, expected, fatal, where }: ReportedKernelBug): string {
  return [
    kind,
    ...(where === undefined ? [] : [`in ${where}`]),
    ...(count > 1 ? [`${String(count)} times`] : []),
    ...(fatal ? ['fatal'] : []),
    ...(expected ? ['provoked'] : []),
  ].join(', ');
}

const LEVELS = ['emergency', 'alert', 'critical', 'error', 'warning'];

/** A line of the kernel's that nobody knows. */
export function warningText({ level, text, count }: ReportedWarning): string {
  const often = count > 1 ? ` (${String(count)} times)` : '';
  return `unknown ${LEVELS[level] ?? 'warning'}${often}: ${text}`;
}
