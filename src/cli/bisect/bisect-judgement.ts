/**
 * What a run says about a commit: good, bad, or nothing; and how often a test that fails only sometimes has to pass.
 */
import { failureRate, percent, type FailureRate } from '../../report/judge/failure-rate.ts';
import type { TestResult } from '../../report/run-report.ts';
import type { RecordedRun } from '../../report/past/history.ts';
import { PrintedNamePattern } from '../../plan/printed-name-pattern.ts';
import { EXIT_CODES, RigError } from '../../util/rig-error.ts';

export type CommitVerdict = 'good' | 'bad' | 'skip' | 'stop';

/** What `git bisect run` wants to hear. */
export const GIT_ANSWERS: Readonly<Record<CommitVerdict, number>> = { good: 0, bad: 1, skip: 125, stop: 128 };

/** A failure of the product is bad; one of the rig, or a tree that can't be built, says nothing about the commit. */
export function judgeExit(exitCode: number): CommitVerdict {
  switch (exitCode) {
    case 0:
      return 'good';
    case EXIT_CODES.test:
    case EXIT_CODES.kernel:
      return 'bad';
    case EXIT_CODES.infrastructure:
    case EXIT_CODES.timeout:
    case EXIT_CODES.usage:
      return 'skip';
    default:
      return 'stop';
  }
}

/** A commit that is called good is bad with a lower probability than this. */
const DOUBT = 0.01;

/**
 * With what probability a bad commit passes so often. Few runs say little about the rate, so the mean over all rates is
 * taken, each weighted by how well it explains what was seen (a Beta distribution, from rates that are all alike
 * likely).
 */
export function chanceToPass({ failures, runs }: FailureRate, times: number): number {
  // A test that has failed every time is taken for one that always does.
  if (failures === runs) return times === 0 ? 1 : 0;
  let chance = 1;
  for (let passed = 0; passed < times; passed++) chance *= (runs - failures + 1 + passed) / (runs + 2 + passed);
  return chance;
}

/** How often a commit has to pass to be called good. */
export function runsNeeded(rate: FailureRate | undefined): number {
  if (rate === undefined) return 1;
  const { failures, runs } = rate;
  if (failures <= 0 || failures > runs) {
    throw new RigError('usage', `A test that fails ${String(failures)} of ${String(runs)} times can't be bisected.`, {
      remedy: 'Measure its rate on a bad kernel: ./dgpu-rig run SUITE --filter RE --for "30 min" --repeat 20',
    });
  }
  let times = 1;
  while (chanceToPass(rate, times) > DOUBT) times++;
  return times;
}

/** What a person wants to know before a bisection that takes a night. */
export function confidenceText(rate: FailureRate | undefined, origin: 'given' | 'recorded'): string {
  if (rate === undefined) {
    return 'A commit is good when it passes once: no recorded run says how often the bad one fails (--rate says it; run --kernel-src … --repeat measures it).';
  }
  const { failures, runs } = rate;
  const seen = `${origin === 'given' ? 'As given' : 'By what is recorded'}, a bad commit fails ${String(failures)} of ${String(runs)} times.`;
  const times = runsNeeded(rate);
  if (times === 1) return `${seen} One is good when it passes once.`;
  const mistaken = percent(chanceToPass(rate, times));
  return `${seen} One is good when it passes ${String(times)} times in a row, which a bad one does with a probability of ${mistaken}.`;
}

/**
 * With what probability one of the commits that were called good is bad after all: then the answer is wrong. Each was
 * judged for itself, so the errors add up.
 */
export function accumulatedError(rate: FailureRate | undefined, runs: number, good: number): number {
  return rate === undefined ? 0 : 1 - (1 - chanceToPass(rate, runs)) ** good;
}

/** Said with the answer; nothing where a bad commit fails every time, as far as is known. */
export function doubtText(rate: FailureRate | undefined, runs: number, good: number): string {
  const error = accumulatedError(rate, runs, good);
  if (rate === undefined || error === 0) return '';
  const each = percent(chanceToPass(rate, runs));
  const commits =
    good === 1 ? 'one commit was called good, and it' : `${String(good)} commits were called good, and each`;
  return `This is wrong with a probability of ${percent(error)} at most: ${commits} may be a bad one that passed ${String(runs)} times in a row (${each}).\n`;
}

/** Fewer runs say little about how often something happens. */
const FEWEST_RUNS = 3;

/**
 * How often what is bisected failed with the bad commit, by what was recorded of that; of several tests the one that
 * fails most often counts.
 */
export function recordedRate(
  recorded: Iterable<RecordedRun>,
  {
    commit,
    suites,
    filter,
  }: { readonly commit: string; readonly suites: readonly string[]; readonly filter: RegExp | undefined },
): FailureRate | undefined {
  const all: TestResult[] = [];
  for (const { report } of recorded) {
    if (kernelCommit(report.kernel.version)?.startsWith(commit.slice(0, 12))) all.push(...report.results);
  }
  const results = all
    .filter(({ suite }) => suites.length === 0 || suites.includes(suite))
    .filter(({ suite, test }) => !filter || new PrintedNamePattern(filter, suite).test(test));
  const names = [...new Set(results.map(({ suite, test }) => `${suite} ${test}`))];
  const rates = names.map((name) => failureRate(results.filter(({ suite, test }) => `${suite} ${test}` === name)));
  const [worst] = rates
    .filter(({ failures, runs }) => failures > 0 && runs >= FEWEST_RUNS)
    .sort((a, b) => b.failures / b.runs - a.failures / a.runs);
  return worst;
}

function kernelCommit(version: string): string | undefined {
  return / at ([0-9a-f]{7,40})/.exec(version)?.[1];
}

/** One failure is enough to be bad; what says nothing is not asked again. */
export async function judgeCommit(runs: number, run: (index: number) => Promise<number>): Promise<CommitVerdict> {
  for (let index = 1; index <= runs; index++) {
    const judgement = judgeExit(await run(index));
    if (judgement !== 'good') return judgement;
  }
  return 'good';
}
