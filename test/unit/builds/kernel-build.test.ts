/** What is said about a kernel that has been built, and what tells it from another one. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { buildKernel, type KernelBuild } from '../../../src/builds/kernel/kernel-build.ts';
import type { KernelSource } from '../../../src/builds/kernel/kernel-source.ts';
import type { KernelVariant } from '../../../src/config/flavour.ts';
import type { EntrySpec } from '../../../src/cache/cache-entry.ts';

const fakes = vi.hoisted(() => ({ obtainEntry: vi.fn() }));
vi.mock('../../../src/cache/cache-entry.ts', () => fakes);

test.for([
  ['the series on top of a pristine tree', { complete: false }, {}, false],
  ['a tree that has the series in it', { complete: true }, {}, false],
  ['the kernel without the series', { complete: false }, { unpatched: true }, true],
] as const)('%s', async ([, { complete }, variant, unpatched]) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(path.join(folder, 'release'), '7.3.4\n');
  fakes.obtainEntry.mockResolvedValue(folder);
  const source = { version: '7.3.4', identity: 'identity', complete } as KernelSource;
  const request = { source, flavour: 'plain', variant } as const;
  const built = await buildKernel(request, () => undefined, new AbortController().signal);
  expect(built.unpatched).toBe(unpatched);
});

test('options and patches of one’s own are in the key, and the patches in the list', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(path.join(folder, 'release'), '7.3.4\n');
  const patch = path.join(folder, 'fix.patch');
  await writeFile(patch, 'diff --git a/mm/shmem.c b/mm/shmem.c\n');
  const keys = new Set<string>();
  fakes.obtainEntry.mockImplementation(({ key }: { key: string }) => (keys.add(key), Promise.resolve(folder)));
  const source = { version: '7.3.4', identity: 'identity', complete: false } as KernelSource;
  const build = async (variant: KernelVariant): Promise<KernelBuild> =>
    buildKernel({ source, flavour: 'plain', variant }, () => undefined, new AbortController().signal);
  const usual = await build({});
  await build({ kconfig: [] });
  expect(keys.size).toBe(1);
  await build({ kconfig: ['CONFIG_SW_SYNC=y'] });
  await build({ kconfig: ['CONFIG_SW_SYNC=m'] });
  const patched = await build({ patches: [patch] });
  await writeFile(patch, 'diff --git a/mm/shmem.c b/mm/shmem.c\n--- a/mm/shmem.c\n');
  const otherwise = await build({ patches: [patch] });
  expect(keys.size).toBe(5);
  expect(patched.patches).toEqual([...usual.patches, 'fix.patch']);
  expect(new Set([usual.patchset, patched.patchset, otherwise.patchset]).size).toBe(3);
  expect((await build({ unpatched: true, patches: [patch] })).patches).toEqual(['fix.patch']);
});

test('what a mutant is built in is the tree that the kernel without it was built in', async () => {
  const cache = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(cache, { recursive: true }));
  vi.stubEnv('DGPU_RIG_CACHE', cache);
  onTestFinished(() => void vi.unstubAllEnvs());
  const trees: string[] = [];
  const unpack = (folder: string): Promise<void> => {
    trees.push(path.basename(path.dirname(folder)));
    return Promise.reject(new Error('That much is seen.'));
  };
  const fill = (): object => ({ unpack });
  const source = { ...{ version: '7.3.4', identity: 'identity', treeName: 'tree', complete: false }, fill };
  const signal = new AbortController().signal;
  const step = { progress: () => undefined };
  const work = { ...{ folder: cache, log: path.join(cache, 'log'), signal }, step };
  fakes.obtainEntry.mockImplementation(({ build }: EntrySpec) => build(work));
  for (const variant of [{}, { mutants: true }]) {
    const request = { source: source as unknown as KernelSource, flavour: 'plain', variant } as const;
    await expect(buildKernel(request, () => undefined, signal)).rejects.toThrow('That much is seen.');
  }
  expect(trees[1]).toBe(trees[0]);
});
