import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { needsOf, watchFiles, type Edit } from '../../../src/cli/watch/watched-files.ts';

test.for([
  ['guest-kernel/edgpu/edgpu.c', ['driver']],
  ['guest-kernel/edgpu/edgpu_drv.h', ['driver']],
  ['guest-kernel/edgpu/edgpu_drm.h', ['driver', 'stress']],
  ['guest-kernel/edgpu/Makefile', ['build']],
  ['guest-kernel/patches/0001-mm.patch', ['build']],
  ['guest-kernel/config/base.config', ['build']],
  ['images/stress/main.c', ['stress']],
  ['images/stress/programs/smoke.c', ['stress']],
  ['images/stress/lib/gpu.h', ['stress']],
  ['images/stress/Makefile', ['build']],
  ['images/guest/init', ['build']],
  ['rig/edgpu/edgpu.c', ['build']],
  ['rig/machines/tiers.yaml', []],
  ['src/suites/smoke.suite.ts', ['suites']],
  ['src/testbed/device/gpu.ts', ['suites']],
  ['guest-kernel/edgpu/.edgpu_drv.c.swp', undefined],
  ['guest-kernel/edgpu/4913', undefined],
  ['guest-kernel/edgpu/edgpu_drv.c~', undefined],
  ['guest-kernel/README.md', undefined],
] as const)('%s: %s', ([file, needs]) => expect(needsOf(file)).toEqual(needs));

const DRIVER = 'guest-kernel/edgpu/edgpu.c';

/** A watched repository in which there is one file. */
async function watched(): Promise<{ root: string; edits: Edit[] }> {
  const root = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  for (const folder of ['guest-kernel/edgpu', 'images', 'rig', 'src/suites', 'src/testbed']) {
    await mkdir(path.join(root, folder), { recursive: true });
  }
  await writeFile(path.join(root, DRIVER), '');
  const edits: Edit[] = [];
  const over = new AbortController();
  const onError = (error: Error): void => expect.fail(error.message);
  await watchFiles(over.signal, { onEdit: (edit) => edits.push(edit), onError }, root);
  onTestFinished(async () => {
    over.abort();
    await rm(root, { recursive: true });
  });
  return { root, edits };
}

async function expectEdits(edits: readonly Edit[], files: readonly (readonly string[])[]): Promise<void> {
  await expect.poll(() => edits.map((edit) => edit.files), { timeout: 10_000 }).toEqual(files);
}

test('an editor that puts a new file in the place of the old one is heard every time, and its temporary file is no edit', async () => {
  const { root, edits } = await watched();
  for (let round = 1; round <= 3; round++) {
    const temporary = path.join(root, 'guest-kernel/edgpu/sedXb3kQz');
    await writeFile(temporary, String(round));
    await rename(temporary, path.join(root, DRIVER));
    await expectEdits(edits, Array<string[]>(round).fill([DRIVER]));
  }
  expect(edits.map(({ needs }) => [...needs])).toEqual([['driver'], ['driver'], ['driver']]);
});

test('what is removed, and what is new in a new folder, are edits', async () => {
  const { root, edits } = await watched();
  await mkdir(path.join(root, 'images/more'));
  await expectEdits(edits, []);
  await writeFile(path.join(root, 'images/notice'), '');
  await expectEdits(edits, [['images/notice']]);
  await writeFile(path.join(root, 'images/more/file'), '');
  await expectEdits(edits, [['images/notice'], ['images/more/file']]);
  await rm(path.join(root, DRIVER));
  await expectEdits(edits, [['images/notice'], ['images/more/file'], [DRIVER]]);
});

test('a folder that goes and comes back, as it does when a branch is checked out, is heard again', async () => {
  const { root, edits } = await watched();
  const folder = path.join(root, 'guest-kernel/edgpu');
  await rename(folder, path.join(root, 'away'));
  await expectEdits(edits, [[DRIVER]]);
  await rename(path.join(root, 'away'), folder);
  await expectEdits(edits, [[DRIVER], [DRIVER]]);
  for (const round of [3, 4]) {
    await writeFile(path.join(root, DRIVER), String(round));
    await expectEdits(edits, Array<string[]>(round).fill([DRIVER]));
  }
});

test('all that is watched may be away for a moment', async () => {
  const { root, edits } = await watched();
  await rename(path.join(root, 'images'), path.join(root, 'away'));
  await writeFile(path.join(root, DRIVER), '1');
  await expectEdits(edits, [[DRIVER]]);
  await rename(path.join(root, 'away'), path.join(root, 'images'));
  await writeFile(path.join(root, 'images/notice'), '');
  await expectEdits(edits, [[DRIVER], ['images/notice']]);
});
