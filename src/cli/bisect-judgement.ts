/** What a run says about a commit: good, bad, or nothing; and how often a test that fails only sometimes has to pass. */
import { EXIT_CODES, RigError } from '../util/rig-error.ts';

export type Judgement = 'good' | 'bad' | 'skip' | 'stop';

/** What `git bisect run` wants to hear. */
export const GIT_ANSWERS: Readonly<Record<Judgement, number>> = { good: 0, bad: 1, skip: 125, stop: 128 };

/** A failure of the product is bad; one of the rig, or a tree that can't be built, says nothing about the commit. */
export function judgeExit(exitCode: number): Judgement {
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

export interface FailureRate {
  readonly failures: number;
  readonly runs: number;
}

/** How sure a commit that is called good has to be one. */
const CONFIDENCE = 0.99;

/** So many runs without a failure, as a bad commit has with a probability below 1 %. */
export function runsNeeded(rate: FailureRate | undefined): number {
  if (rate === undefined) return 1;
  const { failures, runs } = rate;
  if (failures <= 0 || failures > runs) {
    throw new RigError('usage', `A test that fails ${String(failures)} of ${String(runs)} times can't be bisected.`, {
      remedy: 'Measure its rate on a bad kernel: ./dgpu-rig run SUITE --filter RE --repeat 20',
    });
  }
  if (failures === runs) return 1;
  return Math.ceil(Math.log(1 - CONFIDENCE) / Math.log(1 - failures / runs));
}

/** One failure is enough to be bad; what says nothing is not asked again. */
export async function judgeCommit(runs: number, run: (index: number) => Promise<number>): Promise<Judgement> {
  for (let index = 1; index <= runs; index++) {
    const judgement = judgeExit(await run(index));
    if (judgement !== 'good') return judgement;
  }
  return 'good';
}
