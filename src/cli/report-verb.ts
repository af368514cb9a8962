/** `dgpu-rig report`: what a run wrote with --json, rendered otherwise. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { REPORT_FORMATS, writeReports, type ReportFiles } from '../report/report-files.ts';
import { runReport, type RunReport } from '../report/run-report.ts';
import { verdictTable } from '../report/verdict-table.ts';
import { RigError } from '../util/rig-error.ts';
import { checkReportFiles } from './run-options.ts';

export async function reportVerb(file: string, files: ReportFiles): Promise<number> {
  await checkReportFiles(files);
  const report = await readReport(file);
  await writeReports(files, report);
  if (REPORT_FORMATS.every((format) => files[format] === undefined)) {
    process.stdout.write(`${verdictTable(report.results)}\n`);
  }
  return 0;
}

async function readReport(file: string): Promise<RunReport> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new RigError('usage', `There is no report to read at ${file}.`, { cause });
  });
  try {
    return runReport.parse(JSON.parse(text));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new RigError('usage', `${file} is not what "dgpu-rig run --json" writes: ${why}`, { cause });
  }
}
