/** `dgpu-rig kernel check`: is every patch of the series one that could be sent? */
import { checkSeries } from '../build/series-check.ts';
import { summaryLine } from '../report/summary-line.ts';
import { EXIT_CODES } from '../util/rig-error.ts';
import type { Session } from './session.ts';

export async function kernelCheckVerb(
  { kernelSrc }: { kernelSrc?: string },
  { progress, signal }: Session,
): Promise<number> {
  const source = kernelSrc === undefined ? {} : { kernelSource: kernelSrc };
  const verdicts = await checkSeries({ ...source, emit: progress.emit, signal });
  const bad = verdicts.filter(({ complaints, buildFailure }) => complaints.length > 0 || buildFailure !== undefined);
  for (const { patch, complaints, buildFailure } of bad) {
    const reasons = [...complaints, ...(buildFailure === undefined ? [] : [buildFailure])];
    progress.print([`✘ ${patch}`, ...reasons.map((reason) => `    ${reason}`)].join('\n'));
  }
  progress.print(summaryLine(verdicts.length - bad.length, bad.length));
  return bad.length === 0 ? 0 : EXIT_CODES.test;
}
