/**
 * What a run ends with, however it was started and however it ended: the record, a table, files, and how to repeat what
 * failed.
 */
import { existsSync } from 'node:fs';
import { errorText } from '../error-text.ts';
import { reportExitCode } from '../../report/judge/outcome.ts';
import { cleanRunsText } from '../../report/past/clean-runs-text.ts';
import { lostJobText } from '../../report/past/merge-shards.ts';
import { writeReports, type ReportFiles } from '../../report/formats/report-files.ts';
import type { RunReport, TestResult } from '../../report/run-report.ts';
import { cutShortText } from '../../report/text/cut-short-text.ts';
import { failuresText } from '../../report/text/failures-text.ts';
import { summaryLine } from '../../report/text/summary-line.ts';
import { testTitle } from '../../report/text/result-text.ts';
import { unknownWarningsText } from '../../report/text/unknown-warnings-text.ts';
import { verdictTable } from '../../report/text/verdict-table.ts';
import { nearestNames } from '../../util/nearest-names.ts';
import { RigError } from '../../util/rig-error.ts';
import type { JudgedRun } from './judged-run.ts';
import { isRepeatable, recordRun } from './recorded-runs.ts';
import type { Session } from '../session.ts';

/** `leftOut` are the names of the tests that the filter does not match. */
export function requireResults(
  { length }: readonly unknown[],
  filter: RegExp | undefined,
  leftOut: Iterable<string>,
): void {
  if (length > 0) return;
  if (!filter) throw new RigError('usage', 'There is no test to run.');
  const names = './dgpu-rig list tests prints all names.';
  const near = nearestNames(filter.source, [...leftOut]).map((name) => `  ${name}\n`);
  throw new RigError('usage', `No test's name matches ${String(filter)}.`, {
    remedy: near.length === 0 ? names : `The nearest are:\n${near.join('')}  ${names}`,
  });
}

type ConclusionOptions = ReportFiles & { readonly keep: boolean };
type Shown = Pick<Session, 'progress'>;

/** Returns the exit code. */
export async function concludeRun(run: JudgedRun, options: ConclusionOptions, session: Shown): Promise<number> {
  return concludeReport(run.report, options, session, run);
}

export async function concludeReport(
  given: RunReport,
  options: ConclusionOptions,
  session: Shown,
  run?: JudgedRun,
): Promise<number> {
  const { number, report } = keepRecord(given, options, session, run);
  const { results, summary, lostJobs = [] } = report;
  const { pass, fail, error, xfail } = summary;
  const lost = lostJobs.map((job) => `${lostJobText(job)}\n`).join('');
  const again = number === undefined ? '' : repetition(number, results);
  const table = results.length === 0 ? '' : `${verdictTable(results)}\n\n`;
  const last = summaryLine(pass + xfail, fail + error);
  const said = `${unknownWarningsText(results)}${cleanRunsText(results)}${failuresText(results)}`;
  process.stdout.write(`\n${table}${lost}${said}${again}${cutShortText(report)}${last}\n`);
  return writeFiles(report, options);
}

/** Of a run that is recorded there is more to say: its number, and which earlier runs had the same kernel bugs. */
interface KeptRun {
  readonly number: number | undefined;
  readonly report: RunReport;
}

/** Before anything is shown, or written to where there may be no room for it. */
export function keepRecord(
  report: RunReport,
  { keep }: Pick<ConclusionOptions, 'keep'>,
  { progress }: Shown,
  run?: JudgedRun,
): KeptRun {
  // Those of a failed test are named with it; a test that was interrupted has no result that could name them.
  const { artifacts } = run?.rig ?? {};
  if (artifacts !== undefined && (keep || (report.cutShort && existsSync(artifacts)))) {
    progress.print(`Artifacts: ${artifacts}`);
  }
  const worth = isWorthARecord(report);
  const recorded = worth ? recordRun(report, progress.print) : undefined;
  // What could not be recorded stays on disk, for the next who looks.
  if (recorded || !worth) run?.recorded();
  progress.stop();
  return { number: recorded?.id, report: recorded?.report ?? report };
}

/** Returns the exit code of the run: a file that can't be written is no worse than what the run found. */
export async function writeFiles(report: RunReport, files: ReportFiles): Promise<number> {
  try {
    await writeReports(files, report);
    return reportExitCode(report);
  } catch (error) {
    process.stderr.write(`dgpu-rig: ${errorText(error)}\n`);
    return reportExitCode(report, ['infrastructure']);
  }
}

/** A shard is no run by itself, and a run that has judged nothing says nothing. */
function isWorthARecord({ shard, results }: RunReport): boolean {
  return shard === undefined && results.some(({ notRun }) => !notRun);
}

/** A test of a run is named by its place in it. */
export function repetition(run: number, results: readonly TestResult[]): string {
  const failed = results.flatMap((result, index) =>
    isRepeatable(result) ? [`  ${String(run)}.${String(index + 1)}  ${testTitle(result)}`] : [],
  );
  if (failed.length === 0) return '';
  const alone = failed.length === 1 ? '' : `, or one of these by its number:\n${failed.join('\n')}`;
  return `Run what failed again: ./dgpu-rig repro ${String(run)}${alone}\n\n`;
}
