import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { git } from '../../../src/builds/tree/git.ts';
import { createEditableTree } from '../../../src/series/series-edit.ts';
import { patchSubject, refreshSeries } from '../../../src/series/series-refresh.ts';

const lines = (name: string): string => Array.from({ length: 20 }, (_, index) => `${name} ${index}\n`).join('');

const PRISTINE: Readonly<Record<string, string>> = {
  '.gitignore': '*.o\n.config\n',
  'ignored.o': 'part of the sources, whatever .gitignore says\n',
  'mm/shmem.c': lines('shmem'),
  'drivers/gpu/drm/Makefile': lines('make'),
  'drivers/gpu/drm/ttm/ttm_tt.c': lines('tt'),
  'kernel/fork.c': lines('fork'),
};

let root: string;
let tree: string;
let patches: string;

async function put(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
}

async function edit(): Promise<void> {
  const unpack = async (folder: string): Promise<void> => put(folder, PRISTINE);
  const graft = {
    folder: path.join(root, 'edgpu'),
    to: 'drivers/gpu/drm/edgpu',
    alsoCopy: [path.join(root, 'regs.h')],
  };
  const step = { progress: () => undefined };
  const work = { step, signal: new AbortController().signal };
  await createEditableTree({ folder: tree, title: 'Linux 0.0.1', unpack, patchFolder: patches, graft }, work);
}

/** Changes a line and commits it. */
async function commit(subject: string, changes: Readonly<Record<string, number>>): Promise<void> {
  for (const [name, line] of Object.entries(changes)) {
    const file = path.join(tree, name);
    const old = (await readFile(file, 'utf8')).split('\n');
    await writeFile(file, old.toSpliced(line, 1, subject).join('\n'));
  }
  await git(tree, ['commit', '--quiet', '--all', '--message', subject]);
}

async function series(): Promise<Record<string, string>> {
  const names = (await readdir(patches)).sort();
  const texts = await Promise.all(names.map(async (name) => readFile(path.join(patches, name), 'utf8')));
  return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? '']));
}

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  [tree, patches] = [path.join(root, 'linux'), path.join(root, 'patches')];
  await mkdir(patches);
  const hook = { file: 'drivers/gpu/drm/Makefile', after: 'make 9', line: 'obj-y += edgpu/' };
  await put(root, {
    'regs.h': '/* registers */\n',
    'edgpu/edgpu.c': '/* driver */\n',
    'edgpu/hooks.json': JSON.stringify([hook]),
  });
  await edit();
});

describe('an editable tree', () => {
  test('has the driver linked in and is clean', async () => {
    expect(await readlink(path.join(tree, 'drivers/gpu/drm/edgpu/edgpu.c'))).toBe(path.join(root, 'edgpu/edgpu.c'));
    expect(await readFile(path.join(tree, 'drivers/gpu/drm/edgpu/regs.h'), 'utf8')).toBe('/* registers */\n');
    expect(await readFile(path.join(tree, 'drivers/gpu/drm/Makefile'), 'utf8')).toContain('make 9\nobj-y += edgpu/\n');
    expect(await git(tree, ['status', '--porcelain'])).toBe('');
    expect(await git(tree, ['ls-files', 'ignored.o'])).toBe('ignored.o');
  });

  test('is never made over what is there', async () => {
    const remedy = expect.stringContaining(`kernel refresh ${tree}`) as string;
    await expect(edit()).rejects.toMatchObject({ message: `${tree} exists already.`, remedy });
    expect(await git(tree, ['status', '--porcelain'])).toBe('');
    tree = path.join(root, 'edgpu');
    await expect(edit()).rejects.toMatchObject({ remedy: 'Name a folder that does not exist yet.' });
    tree = path.join(root, 'regs.h/linux');
    await expect(edit()).rejects.toMatchObject({
      failureClass: 'usage',
      message: expect.stringContaining(tree) as string,
    });
  });

  test('gives the same series back, byte for byte, and again', async () => {
    await commit('mm: one', { 'mm/shmem.c': 3 });
    await commit('drm/ttm: two', { 'drivers/gpu/drm/ttm/ttm_tt.c': 3 });
    const first = await refreshSeries(tree, patches);
    expect(first.written).toEqual(['0010-mm-one.patch', '0030-drm-ttm-two.patch']);
    const before = await series();
    await rm(tree, { recursive: true });
    await edit();
    expect(await refreshSeries(tree, patches)).toEqual({ written: [], removed: [], unchanged: first.written });
    expect(await series()).toEqual(before);
    for (const text of Object.values(before)) {
      expect(text).toMatch(/^From 0{40} /);
      expect(text).toMatch(/^Subject: \[PATCH\] /m);
      // The signature would change with every version of git.
      expect(text).not.toMatch(/^-- $/m);
    }
  });

  test('adds, renames and removes patches, and leaves the others alone', async () => {
    await commit('mm: one', { 'mm/shmem.c': 3 });
    await commit('mm: two', { 'mm/shmem.c': 15 });
    await refreshSeries(tree, patches);
    await git(tree, ['commit', '--quiet', '--amend', '--message', 'mm: deux']);
    await commit('mm: three', { 'mm/shmem.c': 9 });
    expect(await refreshSeries(tree, patches)).toEqual({
      written: ['0011-mm-deux.patch', '0012-mm-three.patch'],
      removed: ['0011-mm-two.patch'],
      unchanged: ['0010-mm-one.patch'],
    });
  });

  test('numbers anew what is behind a new patch, or has changed places, though it is otherwise unchanged', async () => {
    await commit('drm/ttm: one', { 'drivers/gpu/drm/ttm/ttm_tt.c': 3 });
    await commit('drm/ttm: two', { 'drivers/gpu/drm/ttm/ttm_tt.c': 15 });
    await refreshSeries(tree, patches);
    const { '0031-drm-ttm-two.patch': two } = await series();
    const behind = (await git(tree, ['rev-parse', 'HEAD'])).trim();
    await git(tree, ['reset', '--quiet', '--hard', 'HEAD~1']);
    await commit('drm: new', { 'drivers/gpu/drm/Makefile': 2 });
    await git(tree, ['cherry-pick', behind]);
    expect(await refreshSeries(tree, patches)).toEqual({
      written: ['0031-drm-new.patch', '0032-drm-ttm-two.patch'],
      removed: ['0031-drm-ttm-two.patch'],
      unchanged: ['0030-drm-ttm-one.patch'],
    });
    expect((await series())['0032-drm-ttm-two.patch']).toBe(two);
    await git(tree, ['rebase', '--quiet', '--onto', 'HEAD~2', 'HEAD~1']);
    await commit('drm: new', { 'drivers/gpu/drm/Makefile': 2 });
    await refreshSeries(tree, patches);
    expect(Object.keys(await series())).toEqual([
      '0030-drm-ttm-one.patch',
      '0032-drm-ttm-two.patch',
      '0033-drm-new.patch',
    ]);
  });
});

describe('what others do to the series meanwhile', () => {
  beforeEach(async () => {
    await commit('mm: one', { 'mm/shmem.c': 3 });
    await commit('drm/ttm: two', { 'drivers/gpu/drm/ttm/ttm_tt.c': 3 });
    await refreshSeries(tree, patches);
  });

  /** As in a second tree, of somebody else. */
  async function elsewhere(work: () => Promise<void>): Promise<void> {
    const mine = tree;
    tree = path.join(root, 'elsewhere');
    await edit();
    await work();
    await refreshSeries(tree, patches);
    tree = mine;
  }

  test('stays: their new patch, with its number', async () => {
    await elsewhere(() => commit('drm/ttm: theirs', { 'drivers/gpu/drm/ttm/ttm_tt.c': 9 }));
    await commit('drm/ttm: three', { 'drivers/gpu/drm/ttm/ttm_tt.c': 15 });
    expect((await refreshSeries(tree, patches)).written).toEqual(['0032-drm-ttm-three.patch']);
    const all = [
      '0010-mm-one.patch',
      '0030-drm-ttm-two.patch',
      '0031-drm-ttm-theirs.patch',
      '0032-drm-ttm-three.patch',
    ];
    expect(Object.keys(await series())).toEqual(all);
    await git(tree, ['reset', '--quiet', '--hard', 'HEAD~1']);
    expect((await refreshSeries(tree, patches)).removed).toEqual(['0032-drm-ttm-three.patch']);
  });

  test('stays: their change of a patch that was not changed here', async () => {
    await elsewhere(async () => {
      await git(tree, ['commit', '--quiet', '--amend', '--message', 'drm/ttm: two', '--message', 'Better said.']);
    });
    const before = await series();
    await git(tree, ['reset', '--quiet', '--hard', 'HEAD~1']);
    await commit('mm: again', { 'mm/shmem.c': 9 });
    await git(tree, ['cherry-pick', 'dgpu-rig-series']);
    expect((await refreshSeries(tree, patches)).written).toEqual(['0011-mm-again.patch']);
    expect(await series()).toMatchObject(before);
  });

  test('is not overwritten: a patch that changed on both sides', async () => {
    const amend = async (text: string): Promise<void> => {
      await git(tree, ['commit', '--quiet', '--amend', '--message', 'drm/ttm: two', '--message', text]);
    };
    await elsewhere(() => amend('Theirs.'));
    await amend('Ours.');
    await expect(refreshSeries(tree, patches)).rejects.toThrow(/"drm\/ttm: two" was changed here, and in the series/);
    expect((await series())['0030-drm-ttm-two.patch']).toContain('Theirs.');
  });

  test('is refused where it no longer fits', async () => {
    await elsewhere(() => commit('drm/ttm: theirs', { 'drivers/gpu/drm/ttm/ttm_tt.c': 3 }));
    await git(tree, ['reset', '--quiet', '--hard', 'HEAD~1']);
    await expect(refreshSeries(tree, patches)).rejects.toThrow(/0031-drm-ttm-theirs\.patch needs what is not/);
  });
});

describe('refresh refuses, and leaves the series alone,', () => {
  const refused = async (reason: RegExp): Promise<void> => {
    await expect(refreshSeries(tree, patches)).rejects.toThrow(reason);
    expect(await readdir(patches)).toEqual([]);
  };

  test('what kernel edit did not make', async () => {
    await git(tree, ['tag', '--delete', 'dgpu-rig-base']);
    await refused(/is not a tree that kernel edit made/);
    await rm(tree, { recursive: true });
    await refused(/is not a tree that kernel edit made/);
  });

  test('changes and new files that are in no commit', async () => {
    await commit('mm: one', { 'mm/shmem.c': 3 });
    await put(tree, { 'mm/new.c': '\n' });
    await refused(/in no commit:\n {2}\?\? mm\/new\.c/);
    await git(tree, ['add', 'mm/new.c']);
    await refused(/in no commit:\n {2}A {2}mm\/new\.c/);
  });

  test('a rebase under way', async () => {
    await commit('mm: one', { 'mm/shmem.c': 3 });
    await mkdir(path.join(tree, '.git/rebase-merge'));
    await refused(/rebase or merge is under way/);
  });

  test('a commit with a file from elsewhere', async () => {
    await commit('mm: one', { 'mm/shmem.c': 3, 'kernel/fork.c': 3 });
    await refused(/"mm: one" changes kernel\/fork\.c/);
  });

  test('a patch that leans on the line that hooks the driver in', async () => {
    await commit('drm: one', { 'drivers/gpu/drm/Makefile': 11 });
    await refused(/0030-drm-one\.patch needs what is not in the series/);
  });

  test('an empty series, and another branch', async () => {
    await refused(/has no commit on top of/);
    await git(tree, ['checkout', '--quiet', '--orphan', 'other']);
    await git(tree, ['commit', '--quiet', '--message', 'other']);
    await refused(/is not on top of/);
  });
});

test('the subject of a patch is unfolded', () => {
  expect(patchSubject('From x\nSubject: [PATCH v2 3/4] mm: a long\n subject\nDate: now\n')).toBe('mm: a long subject');
});
