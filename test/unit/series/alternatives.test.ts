/**
 * What docs/positions compares the series with goes on top of it, as far as that can be told without a kernel: in the
 * files that the series adds. `./dgpu-rig kernel check` applies and compiles all of it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { readSeries } from '../../../src/builds/tree/patch-series.ts';
import { repositoryPath } from '../../../src/config/paths.ts';

const ALTERNATIVES = repositoryPath('guest-kernel/alternatives');
const ADDED = [
  'mm/shmem_limit.c',
  'mm/shmem_limit.h',
  'mm/tests/shmem_limit_kunit.c',
  'mm/tests/shmem_folio_ops_kunit.c',
];
const includes = ADDED.map((file) => `--include=${file}`);

function touches(patch: string): boolean {
  return ADDED.some((file) => patch.includes(`diff --git a/${file} `));
}

const alternatives = (await readSeries(ALTERNATIVES)).filter(({ text }) => touches(text));

test.for(alternatives)('$name goes on top of the series', async (alternative) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const apply = (patch: string) =>
    execa('git', ['apply', ...includes, patch], {
      cwd: folder,
      env: { GIT_CEILING_DIRECTORIES: path.dirname(folder) },
      reject: false,
    });
  for (const { file, text } of await readSeries(repositoryPath('guest-kernel/patches'))) {
    if (touches(text)) expect((await apply(file)).stderr).toBe('');
  }
  expect((await apply(alternative.file)).stderr).toBe('');
  // Not twice: what it changes is changed.
  expect((await apply(alternative.file)).exitCode).not.toBe(0);
});
