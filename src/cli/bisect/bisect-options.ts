/** The options of `dgpu-rig bisect`: checked once, before the first build, and handed on to each `run` that judges a commit. */
import path from 'node:path';
import { Option, type Command } from 'commander';
import type { FailureRate } from '../../report/judge/failure-rate.ts';
import {
  addMachineOptions,
  backendOption,
  maxVmsOption,
  parseRate,
  parseRegex,
  type MachineOptions,
  type RunOptions,
} from '../options/run-options.ts';

export interface BisectOptions extends MachineOptions, Pick<RunOptions, 'backend' | 'filter' | 'maxVms'> {
  readonly good: string;
  readonly bad: string;
  readonly rate?: FailureRate;
}

export function addBisectOptions(command: Command): Command {
  return addMachineOptions(command)
    .requiredOption('--good <commit>', 'one with which they pass')
    .requiredOption('--bad <commit>', 'a later one, with which they fail')
    .option('--filter <regex>', 'only tests whose name matches, as it is printed: suite › group › test', parseRegex)
    .addOption(
      new Option(
        '--rate <k/n>',
        'a bad kernel was seen to fail k of n times; by default what is recorded. A commit has to pass accordingly often',
      ).argParser(parseRate),
    )
    .addOption(backendOption())
    .addOption(maxVmsOption());
}

/** For `run`, which is started in another folder: nothing is left to that one's defaults. */
export function stepArguments(suites: readonly string[], options: BisectOptions): string[] {
  const { machine, dmaBits, backend, flavour, accel, maxVms, filter, qemuSrc } = options;
  return [
    ...suites,
    ...['--machine', machine, '--dma-bits', dmaBits.join(','), '--backend', backend],
    ...['--flavour', flavour, '--accel', accel, '--max-vms', String(maxVms)],
    ...(filter === undefined ? [] : ['--filter', filter.source]),
    ...(qemuSrc === undefined ? [] : ['--qemu-src', path.resolve(qemuSrc)]),
    ...(['unpatched', 'debugInfo', 'sanitize', 'keep'] as const).flatMap((name) =>
      options[name] === true ? [`--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`] : [],
    ),
  ];
}
