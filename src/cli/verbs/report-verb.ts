/** `dgpu-rig report`: a run that was recorded, or what one wrote with --json, rendered otherwise or held against another. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { baselineText } from '../../report/past/baseline-text.ts';
import { compareRuns } from '../../report/past/baseline.ts';
import type { History } from '../../report/past/history.ts';
import { reportOfEvents } from '../../report/live/unfinished-run.ts';
import { mergeShards } from '../../report/past/merge-shards.ts';
import { reportExitCode } from '../../report/judge/outcome.ts';
import { REPORT_FORMATS, writeReports, type ReportFiles } from '../../report/formats/report-files.ts';
import { runReport, type RunReport } from '../../report/run-report.ts';
import { cutShortText } from '../../report/text/cut-short-text.ts';
import { verdictTable } from '../../report/text/verdict-table.ts';
import { EXIT_CODES, RigError } from '../../util/rig-error.ts';
import { findRun, openHistory } from '../run/recorded-runs.ts';
import { checkReportFiles } from '../options/run-options.ts';

export interface ReportOptions extends ReportFiles {
  readonly baseline?: string;
  readonly merge?: boolean;
}

interface Subject {
  readonly report: RunReport;
  /** Of a report in a file it is not known which recorded run it is. */
  readonly id: number | undefined;
}

export async function reportVerb(files: readonly string[], options: ReportOptions): Promise<number> {
  await checkReportFiles(options);
  const history = openHistory();
  const subject = await subjectOf(files, options, history);
  await writeReports(options, subject.report);
  if (options.baseline === undefined) {
    if (REPORT_FORMATS.every((format) => options[format] === undefined)) {
      const cut = cutShortText(subject.report);
      process.stdout.write(`${verdictTable(subject.report.results)}\n${cut === '' ? '' : `\n${cut}`}`);
    }
    return options.merge === true ? reportExitCode(subject.report) : 0;
  }
  const before = subject.id ?? Number.MAX_SAFE_INTEGER;
  const baseline = (await findRun(history, options.baseline, before)).report;
  const earlier = history.runs(before).map(({ report }) => report);
  const changes = compareRuns(
    subject.report,
    baseline,
    earlier.filter((run) => startedBefore(run, subject.report)),
  );
  process.stdout.write(`${baselineText(changes, baseline)}\n`);
  return changes.some(({ kind }) => kind === 'new') ? EXIT_CODES.test : 0;
}

/** Of a report in a file it is not known which recorded run it is. */
function startedBefore(run: RunReport, subject: RunReport): boolean {
  return subject.startedAt === undefined || run.startedAt === undefined || run.startedAt < subject.startedAt;
}

async function subjectOf(files: readonly string[], { merge }: ReportOptions, history: History): Promise<Subject> {
  if (merge === true && files.length === 0) {
    throw new RigError('usage', '--merge is for the reports of the shards of a run, and none is named.', {
      remedy: './dgpu-rig report --merge shard-*.json',
    });
  }
  if (merge === true) return { report: mergeShards(await Promise.all(files.map(readReport))), id: undefined };
  const [file, ...more] = files;
  if (more.length > 0) {
    throw new RigError('usage', 'One report at a time.', { remedy: 'Those of the shards of one run: --merge.' });
  }
  return file === undefined ? newest(history) : { report: await readReport(file), id: undefined };
}

async function newest(history: History): Promise<{ report: RunReport; id: number }> {
  return findRun(history, 'last', Number.MAX_SAFE_INTEGER);
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
