/** What is said about a kernel that has been built: whether it has the series, wherever that came from. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { buildKernel } from '../../../src/builds/kernel/kernel-build.ts';
import type { KernelSource } from '../../../src/builds/kernel/kernel-source.ts';

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
