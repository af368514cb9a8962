/** `dgpu-rig watch` that fails to begin leaves nothing in the folder of temporary files. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { WatchOptions } from '../../../src/cli/options/option-table.ts';
import { watchVerb } from '../../../src/cli/watch/watch-verb.ts';
import { RigError } from '../../../src/util/rig-error.ts';

const fakes = vi.hoisted(() => ({ loadPlans: vi.fn(), prepareRun: vi.fn(), watchFiles: vi.fn() }));
vi.mock('../../../src/config/plan.ts', async (original) => {
  const real = await original<typeof import('../../../src/config/plan.ts')>();
  return { ...real, loadPlans: fakes.loadPlans.mockImplementation(real.loadPlans) };
});
vi.mock('../../../src/plan/prepare-run.ts', async (original) => ({ ...(await original<object>()), ...fakes }));
vi.mock('../../../src/cli/watch/watched-files.ts', () => fakes);

const BROKEN = new RigError('usage', 'It is broken.');

test.for([
  ['the plans are', () => fakes.loadPlans.mockRejectedValueOnce(BROKEN)],
  ['what it watches is', () => fakes.watchFiles.mockRejectedValueOnce(BROKEN)],
  ['the build is', () => fakes.prepareRun.mockRejectedValueOnce(BROKEN)],
] as const)('because %s broken', async ([, breakIt]) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-watch-test-'));
  vi.stubEnv('TMPDIR', folder);
  onTestFinished(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
  });
  breakIt();
  const progress = { emit: () => undefined, print: () => undefined, stop: () => undefined };
  const session = { progress, signal: new AbortController().signal };
  const options: WatchOptions = {
    ...{ machine: 'tiers', dmaBits: [32], accel: 'tcg', flavour: 'plain', backend: 'shmem', keep: false, maxVms: 1 },
  };
  await expect(watchVerb(['smoke'], options, session)).rejects.toBe(BROKEN);
  expect(await readdir(folder)).toEqual([]);
});
