/** What of a command line goes to the jobs. */
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { jobArguments } from '../../../src/cli/slurm/job-arguments.ts';
import { addOptions } from '../../../src/cli/options/command-options.ts';
import { RUN_OPTIONS } from '../../../src/cli/options/option-table.ts';

const { options } = addOptions(new Command('run'), RUN_OPTIONS);
const forJobs = (line: string): string => jobArguments(line.split(' '), options, 7).join(' ');

test('all but what only whoever submits them is to do', () => {
  expect(forJobs('smoke dma --engine slurm --shards=4 --html out.html --json=x --seed 3 --keep --max-vms 2')).toBe(
    '--seed 7 smoke dma --keep --max-vms 2',
  );
});

test('a value that looks like an option is none', () => {
  expect(forJobs('--filter --json --matrix full --html x smoke')).toBe('--seed 7 --filter --json --matrix full smoke');
});
