/** Which run is meant, for people who have to tell one from another. */
import type { RunEntry } from './history.ts';
import { kernelName } from './baseline.ts';
import { acceleratorsOf } from '../text/accelerators.ts';
import type { RunReport } from '../run-report.ts';

/** `2026-11-28 11:38`, of a time in ISO 8601 (UTC). */
export function minuteOf(time: string): string {
  return time.slice(0, 16).replace('T', ' ');
}

/** Above the table of a run. */
export function runHeading(id: number | undefined, report: RunReport): string {
  const number = id === undefined ? 'A run' : `Run ${String(id)}`;
  const when = report.startedAt === undefined ? '' : ` of ${minuteOf(report.startedAt)} UTC`;
  return `${number}${when}, Linux ${kernelName(report)}, ${acceleratorsOf(report)}:`;
}

/** One line of a list of runs. */
export function entryLine({ id, startedAt, kernel, suites, summary }: RunEntry): string {
  const { pass, xfail, fail, error } = summary;
  const which = suites.length > MOST_SUITES ? `${String(suites.length)} suites` : suites.join(', ');
  return `${String(id)}  ${minuteOf(startedAt)}  ${String(pass + xfail)} passed, ${String(fail + error)} failed  ${which}  (Linux ${kernel})`;
}

const MOST_SUITES = 4;
