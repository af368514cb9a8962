/** What a run ends with, however it was started: files, the record, a table, and how to repeat what failed. */
import { composeReport } from '../report/compose-report.ts';
import { runExitCode } from '../report/outcome.ts';
import { writeReports, type ReportFiles } from '../report/report-files.ts';
import { summarize, type TestResult } from '../report/run-report.ts';
import { summaryLine } from '../report/summary-line.ts';
import { verdictTable } from '../report/verdict-table.ts';
import type { RigContext } from '../suite/rig-context.ts';
import type { PlanOutcome } from './plan-run.ts';
import { recordRun } from './recorded-runs.ts';
import type { Session } from './session.ts';

export interface Concluded extends PlanOutcome {
  readonly rig: RigContext;
}

export async function concludeRun(
  { rig, results, failures }: Concluded,
  options: ReportFiles & { readonly keep: boolean },
  { progress }: Pick<Session, 'progress'>,
): Promise<number> {
  const report = composeReport(rig, results);
  await writeReports(options, report);
  const number = recordRun(report, progress.print);
  if (options.keep) progress.print(`Artifacts: ${rig.artifacts}`);
  progress.stop();
  const { pass, fail, error, xfail } = summarize(results);
  const again = number === undefined ? '' : repetition(number, results);
  process.stdout.write(`\n${verdictTable(results)}\n\n${again}${summaryLine(pass + xfail, fail + error)}\n`);
  return runExitCode(failures);
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
