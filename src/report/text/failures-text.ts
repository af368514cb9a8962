/** What failed, once more and all of it in one place: the end of a log is what people see, and what CI systems keep. */
import { kernelReportHeading, testTitle } from './result-text.ts';
import type { TestResult } from '../run-report.ts';

/** All of a message was printed when its test ended, and is in the report. */
const MOST_LINES = 12;

/** Each failure with the beginning of its message, and the runs that had its kernel bugs; nothing if there is none. */
export function failuresText(results: readonly TestResult[]): string {
  const failed = results.filter(({ status }) => status === 'fail' || status === 'error');
  if (failed.length === 0) return '';
  return `What failed:\n${failed.map(failureText).join('')}\n`;
}

function failureText(result: TestResult): string {
  const lines = (result.message ?? '').trimEnd().split('\n');
  const left = lines.length - MOST_LINES;
  const shown = [...lines.slice(0, MOST_LINES), ...(left > 0 ? [`… and ${String(left)} lines more`] : [])];
  const known = result.kernelReports.filter(({ seenIn }) => seenIn).map(kernelReportHeading);
  return `  ✘ ${testTitle(result)}\n${[...shown, ...known].map((line) => `      ${line}\n`).join('')}`;
}
