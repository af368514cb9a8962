/** A campaign of mutants, for a terminal. */
import { elapsed } from '../text/elapsed.ts';
import type { Mutant } from '../../series/mutants/mutants.ts';
import { NOTICES, survivorsOf, type JudgedMutant, type MutationReport } from './mutation-report.ts';

export function mutantTitle({ id, file, line, function: name, operator }: Mutant): string {
  return `${id}  ${file}:${String(line)} ${name}(): ${operator}`;
}

/** One line, as soon as it is judged. */
export function verdictLine(mutant: JudgedMutant): string {
  const { caught } = mutant;
  const took = `  (${elapsed(mutant.durationMs)})`;
  if (!caught) return `survived  ${mutantTitle(mutant)}${took}`;
  return `caught    ${mutantTitle(mutant)}, by ${caught.suite} › ${caught.test} (${caught.how})${took}`;
}

/** Each survivor with its diff and with the suites that were near, then the line that a CI looks for. */
export function mutationText(report: MutationReport): string {
  const survivors = survivorsOf(report).map(
    (mutant) =>
      `${verdictLine(mutant)}\n${mutant.diff}nearest tests, which reach the line and did not notice: ${mutant.suites.join(', ')}\n`,
  );
  return [...survivors, ...(report.interrupted === undefined ? [] : [`${report.interrupted}\n`])]
    .map((part) => `${part}\n`)
    .join('');
}

export function mutationSummary(report: MutationReport): string {
  const { mutants, unbuilt, equivalent, candidates, seed, count } = report;
  const by = NOTICES.flatMap((notice) => {
    const number = mutants.filter(({ caught }) => caught?.how === notice).length;
    return number === 0 ? [] : [`${String(number)} by ${WORDS[notice]}`];
  });
  const survived = survivorsOf(report).length;
  const caught = mutants.length - survived;
  const each = mutants.reduce((sum, { durationMs }) => sum + durationMs, 0) / mutants.length;
  return [
    `${String(mutants.length)} of ${String(count)} mutants judged: ${String(caught)} caught`,
    by.length === 0 ? '' : ` (${by.join(', ')})`,
    `, ${String(survived)} survived`,
    unbuilt.length === 0 ? '' : `; ${String(unbuilt.length)} did not compile`,
    mutants.length === 0 ? '' : `; ${elapsed(each)} each`,
    `; seed ${String(seed)}, of ${candidates.toLocaleString('en')}`,
    equivalent === 0 ? '' : ` and ${String(equivalent)} that are equivalent`,
  ].join('');
}

const WORDS: Readonly<Record<(typeof NOTICES)[number], string>> = {
  kunit: 'KUnit alone',
  suite: 'a suite',
  'kernel report': 'a kernel report',
  'time-out': 'a time-out',
  'lost VM': 'a VM that was lost',
};
