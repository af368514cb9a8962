/** Why a run did not come to its end, for people; nothing of one that did. */
import type { RunReport } from '../run-report.ts';

const WORDS: Readonly<Record<NonNullable<RunReport['cutShort']>['how'], string>> = {
  interrupted: 'Interrupted',
  failed: 'Ended by an error',
  killed: 'Killed',
};

export function cutShortText({ cutShort, results }: Pick<RunReport, 'cutShort' | 'results'>): string {
  if (!cutShort) return '';
  const missing = results.some(({ notRun }) => notRun)
    ? ' The tests that it did not come to are listed as not run.'
    : '';
  return `${WORDS[cutShort.how]}: ${cutShort.message}${missing}\n\n`;
}
