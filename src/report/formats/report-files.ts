/** The files a run can be written to: each a rendering of its one record. */
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RigError } from '../../util/rig-error.ts';
import { htmlReport } from '../html/html-report.ts';
import { junitReport } from './junit-report.ts';
import { kcidbReport } from './kcidb-report.ts';
import { ktapReport } from './ktap-report.ts';
import type { RunReport } from '../run-report.ts';

type Render = (report: RunReport, folder: string) => string;

const RENDERERS = {
  json: (report) => `${JSON.stringify(report, undefined, 2)}\n`,
  junit: junitReport,
  ktap: ktapReport,
  html: htmlReport,
  kcidb: kcidbReport,
} satisfies Record<string, Render>;

export type ReportFormat = keyof typeof RENDERERS;
export const REPORT_FORMATS = Object.keys(RENDERERS) as ReportFormat[];

/** Files by format, for those that are wanted. */
export type ReportFiles = Partial<Readonly<Record<ReportFormat, string>>>;

export async function writeReports(files: ReportFiles, report: RunReport): Promise<void> {
  await writeRenderings(files, RENDERERS, report);
}

/** One that can't be written, or not be rendered, takes none of the others with it; its error is thrown at the end. */
export async function writeRenderings<Format extends string, Subject>(
  files: Partial<Readonly<Record<Format, string>>>,
  renderers: Readonly<Record<Format, (subject: Subject, folder: string) => string>>,
  subject: Subject,
): Promise<void> {
  const errors: unknown[] = [];
  for (const format of Object.keys(renderers) as Format[]) {
    const file = files[format];
    if (file === undefined) continue;
    try {
      await writeWhole(file, renderers[format](subject, path.dirname(path.resolve(file))));
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/** Whole or not at all. */
export async function writeWhole(file: string, text: string): Promise<void> {
  const temporary = `${file}.${String(process.pid)}.tmp`;
  try {
    await writeFile(temporary, text);
    await rename(temporary, file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RigError('infrastructure', `The report could not be written to ${file}: ${reason}`, { cause });
  }
}
