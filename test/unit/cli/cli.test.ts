/** The command line as a person meets it: a real process, and only what ends before anything is built. */
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';

async function rig(...args: string[]): Promise<{ exitCode: number | undefined; stderr: string; stdout: string }> {
  const { exitCode, stderr, stdout } = await execa(repositoryPath('dgpu-rig'), args, { reject: false });
  return { exitCode, stderr, stdout };
}

describe('user mistakes', { concurrent: true }, () => {
  test.for([
    [['run', 'nosuch'], 'The suites are: '],
    [['run', '--machine', 'nosuch'], 'tiers'],
    [['run', '--dma-bits', '33'], '32, 40, 48'],
    [['run', '--dma-bits', ''], '32, 40, 48'],
    [['run', '--backend', 'nosuch'], 'shmem, backup, legacy'],
    [['run', '--accel', 'nosuch'], 'auto, kvm, tcg'],
    [['run', '--max-vms', '0'], 'positive'],
    [['run', '--filter', '('], 'regular expression'],
    [['run', '--json', '/nosuch/folder/r.json'], '/nosuch/folder'],
    [['run', '--nosuch'], '--dma-bits'],
    [['bench', 'nosuch'], 'The benches are: '],
    [['bench', '--rounds', '0'], 'positive'],
    [['nosuch'], 'doctor'],
    [['test', 'nosuch'], 'unit, device, vm, reliability, suites'],
    [[], 'Usage'],
  ] as const)('%o is told what is valid', { timeout: 60_000 }, async ([args, valid]) => {
    const { exitCode, stderr } = await rig(...args);
    expect(stderr).toContain(valid);
    expect(stderr).not.toMatch(/^ +at /m);
    expect(exitCode).toBe(2);
  });
});

test('help is no mistake', async () => {
  const { exitCode, stdout } = await rig('run', '--help');
  expect(exitCode).toBe(0);
  expect(stdout).toContain('--kernel-src');
});
