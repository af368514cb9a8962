/**
 * The options of `dgpu-rig bisect`: checked once, before the first build, and handed on to each `run` that judges a
 * commit.
 */
import { InvalidArgumentError, type Command } from 'commander';
import type { FailureRate } from '../../report/judge/failure-rate.ts';
import { addOptions, asArguments } from '../options/command-options.ts';
import { BISECT_OPTIONS, type Options } from '../options/option-table.ts';

export interface BisectOptions extends Options<(typeof BISECT_OPTIONS)[number]> {
  readonly good: string;
  readonly bad: string;
  readonly rate?: FailureRate;
}

export function addBisectOptions(command: Command): Command {
  return addOptions(command, BISECT_OPTIONS)
    .requiredOption('--good <commit>', 'a commit with which the tests pass')
    .requiredOption('--bad <commit>', 'a later one, with which they fail')
    .option(
      '--rate <k/n>',
      'the bad kernel failed k of n times, which says how often a good one has to pass; by default what is recorded',
      parseRate,
    );
}

/** "3/20": 3 failures in 20 runs. */
function parseRate(text: string): FailureRate {
  const [, failures, runs] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (failures === undefined || runs === undefined) throw new InvalidArgumentError('Give it as failures/runs: 3/20.');
  return { failures: Number(failures), runs: Number(runs) };
}

/**
 * The arguments for `run`, which is started in another folder and must not use the defaults of that one. Each step has
 * its own kernel.
 */
export function stepArguments(suites: readonly string[], options: BisectOptions): string[] {
  return [
    ...suites,
    ...asArguments(
      options,
      BISECT_OPTIONS.filter((name) => name !== 'kernelSrc'),
    ),
  ];
}
