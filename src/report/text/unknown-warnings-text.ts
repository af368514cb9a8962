/** Lines of the kernel's that nobody knows, of all tests of a run: they fail nothing, but deserve a look. */
import type { ReportedWarning, TestResult } from '../run-report.ts';
import { warningIdentity } from '../../vm/kernel-log/known-warnings.ts';
import { warningText } from './result-text.ts';

const MOST_LINES = 10;

/** Each once, however many tests have it; nothing if there is none. */
export function unknownWarningsText(results: readonly TestResult[]): string {
  const found = new Map<string, ReportedWarning>();
  for (const warning of results.flatMap(({ warnings = [] }) => warnings)) {
    const known = found.get(warningIdentity(warning));
    found.set(warningIdentity(warning), { ...(known ?? warning), count: warning.count + (known?.count ?? 0) });
  }
  if (found.size === 0) return '';
  const left = found.size - MOST_LINES;
  const lines = [...found.values()].slice(0, MOST_LINES).map(warningText);
  const more = left > 0 ? [`… and ${String(left)} more, which the report has`] : [];
  return `The kernel said what the rig does not know:\n${[...lines, ...more].map((line) => `  ${line}\n`).join('')}\n`;
}
