/** What the guest's programs share, as far as it needs no device: compiled for the host, and run. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';

const STRESS = repositoryPath('images/stress');
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  const units = ['bus_error', 'failure', 'random'].map((unit) => path.join(STRESS, `lib/${unit}.c`));
  const source = repositoryPath('test/unit/stress/lib-check.c');
  await execa(
    'cc',
    ['-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror', `-I${STRESS}`, '-o', 'check', source, ...units],
    {
      cwd: folder,
    },
  );
});

afterAll(() => rm(folder, { recursive: true }));

function check(what: string) {
  return execa(path.join(folder, 'check'), [what], { reject: false });
}

test('a SIGBUS within a guard is a failure, every time', async () => {
  expect(await check('guarded')).toMatchObject({ exitCode: 0, stdout: '0\ncaught' });
  expect(await check('word')).toMatchObject({ exitCode: 0, stdout: '0\nread of a word: SIGBUS' });
});

test('guards nest: what the inner one was for is over when its function returns', async () => {
  expect(await check('nested')).toMatchObject({ exitCode: 0, stdout: '0\ncaught' });
});

test.for([
  ['where no guard ever was', 'outside'],
  ['after the guarded function has returned', 'afterwards'],
] as const)('a SIGBUS %s ends the program, with a message', async ([, where]) => {
  const { exitCode, stderr } = await check(where);
  expect(exitCode).toBe(3);
  expect(stderr).toMatch(/^edgpu-stress check: SIGBUS at 0x[0-9a-f]+, where none is expected$/);
});

test('random numbers: a seed decides them, and neither near seeds nor streams have anything in common', async () => {
  const seeds = ['0', '1', '0xffffffffffffffff'];
  const said = await Promise.all([...seeds, '0'].map(async (seed) => (await check(seed)).stdout.trim().split('\n')));
  expect(said[3]).toEqual(said[0]);
  const numbers = said.slice(0, 3).flat();
  expect(numbers).toHaveLength(3 * 16);
  expect(new Set(numbers).size).toBe(numbers.length);
  // Half of all bits, give or take five standard deviations: a generator that begins with small numbers has fewer.
  const ones = numbers.reduce((sum, number) => sum + BigInt(`0x${number}`).toString(2).replaceAll('0', '').length, 0);
  expect(Math.abs(ones - numbers.length * 32)).toBeLessThan(5 * Math.sqrt(numbers.length * 16));
});
