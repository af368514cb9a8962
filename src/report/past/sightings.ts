/** In which earlier runs a kernel bug, or a warning that nobody knows, was seen: so people see at once what is new. */
import { bugIdentity } from '../../vm/kernel-log/distinct-reports.ts';
import { warningIdentity } from '../../vm/kernel-log/known-warnings.ts';
import type { ReportedKernelBug, ReportedWarning, RunReport, Sightings } from '../run-report.ts';

/** An earlier run, and what was seen in it, as `seenInRun()` names it. */
interface PastRun {
  readonly id: number;
  readonly seen: readonly string[];
}

/** One name for each bug and each unknown warning of a run, the same in all runs. */
export function seenInRun({ results }: Pick<RunReport, 'results'>): string[] {
  const names = results.flatMap(({ kernelReports, warnings = [] }) => [
    ...kernelReports.flatMap((report) => bugName(report) ?? []),
    ...warnings.map(warningName),
  ]);
  return [...new Set(names)];
}

/** `earlier` is in any order, and is only read where there is something to look for. */
export function withSightings(report: RunReport, earlier: () => Iterable<PastRun>): RunReport {
  const wanted = new Map(seenInRun(report).map((name) => [name, [] as number[]]));
  if (wanted.size === 0) return report;
  for (const { id, seen } of earlier()) for (const name of seen) wanted.get(name)?.push(id);
  const found = (name: string | undefined): { seenIn?: Sightings } => {
    const runs = wanted.get(name ?? '') ?? [];
    return runs.length === 0 ? {} : { seenIn: summaryOf(runs) };
  };
  const results = report.results.map((result) => ({
    ...result,
    kernelReports: result.kernelReports.map((bug) => ({ ...bug, ...found(bugName(bug)) })),
    ...(result.warnings && {
      warnings: result.warnings.map((warning) => ({ ...warning, ...found(warningName(warning)) })),
    }),
  }));
  return { ...report, results };
}

/** What a test provokes is no bug, and what is only noted comes and goes with the load of the host. */
function bugName(report: ReportedKernelBug): string | undefined {
  return report.severity === 'bug' && !report.expected ? `bug: ${bugIdentity(report)}` : undefined;
}

function warningName(warning: ReportedWarning): string {
  return `warning: ${warningIdentity(warning)}`;
}

const MOST_RUNS = 10;

function summaryOf(runs: readonly number[]): Sightings {
  const sorted = runs.toSorted((a, b) => a - b);
  const shown = sorted.length > MOST_RUNS ? [...sorted.slice(0, 1), ...sorted.slice(1 - MOST_RUNS)] : sorted;
  return { count: sorted.length, runs: shown };
}
