/** The comparison with a baseline, for people. */
import { kernelName, type Change } from './baseline.ts';
import type { RecordedRun } from './history.ts';
import { minuteOf } from './run-heading.ts';
import { testTitle } from '../text/result-text.ts';

const CHANGE_TITLES: Readonly<Record<Change['kind'], string>> = {
  new: 'New failures',
  'still-failing': 'Still failing',
  fixed: 'Fixed',
  slower: 'Slower',
  faster: 'Faster',
};

export function baselineText(changes: readonly Change[], { id, report }: Pick<RecordedRun, 'id' | 'report'>): string {
  const when = report.startedAt === undefined ? '' : ` of ${minuteOf(report.startedAt)}`;
  const heading = `Against run ${String(id)}${when}, ${kernelName(report)}:`;
  if (changes.length === 0) return `${heading} no difference.`;
  const sections = Object.entries(CHANGE_TITLES).flatMap(([kind, title]) => {
    const members = changes.filter((change) => change.kind === kind);
    return members.length === 0 ? [] : [`${title} (${String(members.length)})`, ...members.map(line)];
  });
  return [heading, ...sections].join('\n');
}

function line(change: Change): string {
  const since = sinceText(change);
  return `  ${testTitle(change)}: ${change.detail}${since === '' ? '' : `\n    ${since}`}`;
}

function sinceText({ kind, since, rate, unseen }: Change): string {
  if (unseen) return 'no earlier run has this test';
  if (rate !== undefined) {
    const chance = kind === 'fixed' ? ': it may only have been lucky' : '';
    return `with this kernel it failed ${String(rate.failures)} of ${String(rate.runs)} times${chance}`;
  }
  if (since === undefined) return '';
  const good = since.lastGood === undefined ? 'never seen to pass' : `last passed with ${since.lastGood}`;
  return `since ${since.kernel}; ${good}`;
}
