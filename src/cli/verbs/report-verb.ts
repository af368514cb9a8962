/**
 * `dgpu-rig report`: a run that was recorded, or what one wrote with --json, rendered otherwise or held against
 * another.
 */
import { access, readFile } from 'node:fs/promises';
import { z } from 'zod';
import { baselineText } from '../../report/past/baseline-text.ts';
import { cleanRunsText } from '../../report/past/clean-runs-text.ts';
import { compareRuns, haveTestsInCommon } from '../../report/past/baseline.ts';
import type { History, RecordedRun } from '../../report/past/history.ts';
import { runHeading } from '../../report/past/run-heading.ts';
import { reportOfEvents } from '../../report/live/unfinished-run.ts';
import { trendOf } from '../../report/past/trend.ts';
import { mergeShards } from '../../report/past/merge-shards.ts';
import { reportExitCode } from '../../report/judge/outcome.ts';
import { REPORT_FORMATS, writeReports, writeWhole, type ReportFiles } from '../../report/formats/report-files.ts';
import { htmlTrend } from '../../report/html/html-trend.ts';
import { runReport, type RunReport } from '../../report/run-report.ts';
import { cutShortText } from '../../report/text/cut-short-text.ts';
import { failuresText } from '../../report/text/failures-text.ts';
import { summaryLine } from '../../report/text/summary-line.ts';
import { unknownWarningsText } from '../../report/text/unknown-warnings-text.ts';
import { verdictTable } from '../../report/text/verdict-table.ts';
import { EXIT_CODES, RigError } from '../../util/rig-error.ts';
import { findComparable, findRun, openHistory } from '../run/recorded-runs.ts';
import { checkFile, checkReportFiles } from '../options/run-request.ts';

export interface ReportOptions extends ReportFiles {
  readonly baseline?: string;
  readonly merge?: boolean;
  /** File for the latest recorded runs, test by test. */
  readonly trend?: string;
}

interface Subject {
  readonly report: RunReport;
  /** Undefined for a report in a file: it is not known which recorded run that is. */
  readonly id: number | undefined;
}

export async function reportVerb(files: readonly string[], options: ReportOptions): Promise<number> {
  await checkReportFiles(options);
  if (options.trend !== undefined) await checkFile('trend', options.trend);
  // A report in a file needs none: in a CI job there may be no home to have one in.
  let opened: History | undefined;
  const history = (): History => (opened ??= openHistory());
  const subject = await subjectOf(files, options, history);
  await writeReports(options, subject.report);
  if (options.trend !== undefined) await writeTrend(options.trend, history(), subject);
  if (options.baseline === undefined) {
    if (options.trend === undefined && REPORT_FORMATS.every((format) => options[format] === undefined)) {
      process.stdout.write(`${runText(subject)}\n`);
    }
    return options.merge === true ? reportExitCode(subject.report) : 0;
  }
  const before = subject.id ?? Infinity;
  const baseline = await baselineOf(subject.report, options.baseline, history(), before);
  const changes = compareRuns(subject.report, baseline.report, runsBefore(subject.report, history(), before));
  process.stdout.write(`${runHeading(subject.id, subject.report)}\n${baselineText(changes, baseline)}\n`);
  return changes.some(({ kind }) => kind === 'new') ? EXIT_CODES.test : 0;
}

function runText({ id, report }: Subject): string {
  const { pass, xfail, fail, error } = report.summary;
  const { results } = report;
  const said = `${unknownWarningsText(results)}${cleanRunsText(results)}${failuresText(results)}`;
  const last = `${said}${cutShortText(report)}${summaryLine(pass + xfail, fail + error)}`;
  return [runHeading(id, report), verdictTable(results), '', last].join('\n');
}

/** More would be wider than any screen, and few of them say anything about today. */
const RUNS_IN_TREND = 30;

/** Up to the run that is reported. */
async function writeTrend(file: string, history: History, { id }: Subject): Promise<void> {
  const runs: RecordedRun[] = [];
  for (const run of history.runs(id === undefined ? Infinity : id + 1)) {
    runs.push(run);
    if (runs.length === RUNS_IN_TREND) break;
  }
  if (runs.length === 0) throw new RigError('usage', 'No run has been recorded yet: there is no trend.');
  await writeWhole(file, htmlTrend(trendOf(runs)));
}

async function baselineOf(subject: RunReport, name: string, history: History, before: number): Promise<RecordedRun> {
  if (name === 'last') return findComparable(history, subject, before);
  const found = await findRun(history, name, before);
  if (haveTestsInCommon(subject, found.report)) return found;
  throw new RigError('usage', `Run ${String(found.id)} has none of the tests of this run.`, {
    remedy: 'Name another run, or "last" for the latest that has one of them.',
  });
}

function* runsBefore(subject: RunReport, history: History, before: number): Generator<RunReport> {
  for (const { report } of history.runs(before)) if (startedBefore(report, subject)) yield report;
}

/** A report in a file may be one of the recorded runs: only the time of its start tells which runs came before. */
function startedBefore(run: RunReport, subject: RunReport): boolean {
  return subject.startedAt === undefined || run.startedAt === undefined || run.startedAt < subject.startedAt;
}

async function subjectOf(files: readonly string[], { merge }: ReportOptions, history: () => History): Promise<Subject> {
  if (merge === true && files.length === 0) {
    throw new RigError('usage', '--merge needs the reports of the shards of a run.', {
      remedy: 'For example: ./dgpu-rig report --merge shard-*.json',
    });
  }
  if (merge === true) return { report: mergeShards(await Promise.all(files.map(readReport))), id: undefined };
  const [file, ...more] = files;
  if (more.length > 0) {
    throw new RigError('usage', 'Name one report.', {
      remedy: 'To merge the reports of the shards of one run: --merge',
    });
  }
  const name = file ?? 'last';
  if (/^(#?\d+|last)$/.test(name) && !(await exists(name))) return findRun(history(), name, Infinity);
  return { report: await readReport(name), id: undefined };
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

async function readReport(file: string): Promise<RunReport> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new RigError('usage', `There is no report to read at ${file}.`, { cause });
  });
  const ofEvents = reportOfEvents(text);
  if (ofEvents) return ofEvents;
  try {
    return runReport.parse(JSON.parse(text));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new RigError('usage', `${file} is not what "dgpu-rig run --json" writes: ${why}`, { cause });
  }
}
