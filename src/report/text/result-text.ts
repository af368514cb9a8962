/** Parts of a result as text, the same in every rendering that has them. */
import type { ReportedKernelBug, ReportedWarning, Sightings, TestResult } from '../run-report.ts';

/** A test as every text for people names it; what `--filter` is compared with. */
export function testTitle({ suite, test }: Pick<TestResult, 'suite' | 'test'>): string {
  return `${suite} › ${test.replaceAll(' > ', ' › ')}`;
}

/** Results by suite, in the order in which they ran. */
export function bySuite(results: readonly TestResult[]): ReadonlyMap<string, readonly TestResult[]> {
  const suites = new Map<string, TestResult[]>();
  for (const result of results) {
    const members = suites.get(result.suite);
    if (members) members.push(result);
    else suites.set(result.suite, [result]);
  }
  return suites;
}

/** The heading says what the lines don't: what it is, how often it came, where in the source, and which runs had it. */
export function kernelReportText(report: ReportedKernelBug): string {
  return [kernelReportHeading(report), ...(report.source ?? []), ...report.lines].join('\n');
}

export function kernelReportHeading({ kind, count, expected, fatal, where, seenIn }: ReportedKernelBug): string {
  return [
    kind,
    ...(where === undefined ? [] : [`in ${where}`]),
    ...(count > 1 ? [`${String(count)} times`] : []),
    ...(fatal ? ['fatal'] : []),
    ...(expected ? ['provoked'] : []),
    ...(seenIn ? [seenInText(seenIn)] : []),
  ].join(', ');
}

/** `seen in runs 7, 9, 12`. */
function seenInText({ count, runs }: Sightings): string {
  if (count === 1) return `seen in run ${String(runs[0])}`;
  if (count === runs.length) return `seen in runs ${runs.join(', ')}`;
  const [first, ...latest] = runs;
  return `seen in ${String(count)} runs: ${String(first)}, …, ${latest.join(', ')}`;
}

const LEVELS = ['emergency', 'alert', 'critical', 'error', 'warning'];

/** A line of the kernel's that nobody knows. */
export function warningText({ level, text, count, seenIn }: ReportedWarning): string {
  const remarks = [...(count > 1 ? [`${String(count)} times`] : []), ...(seenIn ? [seenInText(seenIn)] : [])];
  const often = remarks.length === 0 ? '' : ` (${remarks.join(', ')})`;
  return `unknown ${LEVELS[level] ?? 'warning'}${often}: ${text}`;
}
