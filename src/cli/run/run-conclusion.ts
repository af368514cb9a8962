/** What a run ends with, however it was started: files, the record, a table, and how to repeat what failed. */
import type { Shard } from '../../config/shard.ts';
import { composeReport } from '../../report/compose-report.ts';
import { lostJobText } from '../../report/past/merge-shards.ts';
import { runExitCode } from '../../report/judge/outcome.ts';
import { writeReports, type ReportFiles } from '../../report/formats/report-files.ts';
import type { RunReport, TestResult } from '../../report/run-report.ts';
import { summaryLine } from '../../report/text/summary-line.ts';
import { verdictTable } from '../../report/text/verdict-table.ts';
import type { RigContext } from '../../plan/rig-context.ts';
import type { PlanOutcome } from './plan-run.ts';
import { recordRun } from './recorded-runs.ts';
import type { Session } from '../session.ts';

export interface Concluded extends PlanOutcome {
  readonly rig: RigContext;
}

type ConclusionOptions = ReportFiles & { readonly keep: boolean; readonly shard?: Shard };

export async function concludeRun(
  { rig, results, failures }: Concluded,
  options: ConclusionOptions,
  session: Pick<Session, 'progress'>,
): Promise<number> {
  if (options.keep) session.progress.print(`Artifacts: ${rig.artifacts}`);
  const exitCode = runExitCode(failures);
  await concludeReport(composeReport(rig, results, options.shard), options, session);
  return exitCode;
}

/** Of a shard nothing is recorded: it is no run by itself. */
export async function concludeReport(
  report: RunReport,
  options: ConclusionOptions,
  { progress }: Pick<Session, 'progress'>,
): Promise<void> {
  const { results, summary, lostJobs = [] } = report;
  await writeReports(options, report);
  const number = options.shard ? undefined : recordRun(report, progress.print);
  progress.stop();
  const { pass, fail, error, xfail } = summary;
  const lost = lostJobs.map((job) => `${lostJobText(job)}\n`).join('');
  const again = number === undefined ? '' : repetition(number, results);
  process.stdout.write(`\n${verdictTable(results)}\n\n${lost}${again}${summaryLine(pass + xfail, fail + error)}\n`);
}

/** A test of a run is named by its place in it. */
export function repetition(run: number, results: readonly TestResult[]): string {
  const failed = results.flatMap(({ status, suite, test }, index) =>
    status === 'fail' || status === 'error' ? [`  ${String(run)}.${String(index + 1)}  ${suite} › ${test}`] : [],
  );
  if (failed.length === 0) return '';
  const alone = failed.length === 1 ? '' : `; one of these alone by its number:\n${failed.join('\n')}`;
  return `What failed, again: ./dgpu-rig repro ${String(run)}${alone}\n\n`;
}
