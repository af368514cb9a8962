/** The files that coverage can be written to: each a rendering of its one record. */
import { writeRenderings } from '../formats/report-files.ts';
import { coberturaReport } from './cobertura-report.ts';
import { coverageHtml, type Subject } from './coverage-html.ts';
import { lcovReport } from './lcov-report.ts';

const RENDERERS = {
  json: ({ report }: Subject) => `${JSON.stringify(report, undefined, 2)}\n`,
  html: coverageHtml,
  lcov: ({ report }: Subject) => lcovReport(report),
  cobertura: ({ report }: Subject) => coberturaReport(report),
};

export type CoverageFormat = keyof typeof RENDERERS;

export async function writeCoverage(
  files: Partial<Readonly<Record<CoverageFormat, string>>>,
  subject: Subject,
): Promise<void> {
  await writeRenderings(files, RENDERERS, subject);
}
