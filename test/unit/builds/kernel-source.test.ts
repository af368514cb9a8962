import { chmod, mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, onTestFinished, vi } from 'vitest';

import type { DebianPackages } from '../../../src/builds/debian/debian-packages.ts';
import { openKernelSource } from '../../../src/builds/kernel/kernel-source.ts';
import type { KernelSource } from '../../../src/builds/kernel/kernel-source.ts';
import type { TreeWork } from '../../../src/builds/tree/user-tree.ts';
import type { Emit } from '../../../src/util/rig-event.ts';
import { test } from '../cache/temporary-cache.ts';

// A tree of the user's own needs nothing of Debian.
const PACKAGES = {} as DebianPackages;

async function open(folder: string): Promise<KernelSource> {
  return openKernelSource(folder, PACKAGES);
}

async function writeIn(folder: string, name: string, content: string): Promise<void> {
  await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
  await writeFile(path.join(folder, name), content);
}

async function git(folder: string, ...args: readonly string[]): Promise<void> {
  const identity = ['-c', 'user.name=rig', '-c', 'user.email=rig@localhost'];
  await execa('git', [...identity, '-C', folder, ...args]);
}

async function treeIn(cache: string, kind: 'git' | 'plain'): Promise<string> {
  const tree = path.join(cache, 'tree with a space');
  await writeIn(tree, 'mm/shmem.c', 'shmem');
  await writeIn(tree, 'lib/list.c', 'list');
  await writeIn(tree, '.gitignore', '*.o\n');
  if (kind === 'git') {
    await git(tree, 'init', '-q');
    await git(tree, 'add', '.');
    await git(tree, 'commit', '-q', '-m', 'first');
  }
  await writeIn(tree, 'mm/shmem.o', 'object');
  return tree;
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
}

function workIn(cache: string, emit: Emit): TreeWork {
  const step = { progress: (text: string) => emit({ type: 'notice', text }) };
  return { step, log: path.join(cache, 'log'), signal: new AbortController().signal };
}

test('a folder that is no kernel tree', async ({ cache }) => {
  await expect(open(cache)).rejects.toMatchObject({ failureClass: 'usage' });
  await expect(open(path.join(cache, 'missing'))).rejects.toThrow(/There is no folder \S+missing/);
});

describe.for(['git', 'plain'] as const)('a %s tree', (kind) => {
  test('keeps its identity as long as no source changes', async ({ cache }) => {
    const tree = await treeIn(cache, kind);
    const first = await open(tree);
    expect((await open(tree)).identity).toBe(first.identity);
    await writeIn(tree, 'mm/shmem.o', 'another object');
    expect((await open(tree)).identity).toBe(first.identity);
    expect((await open(tree)).version.startsWith(first.version.split(' at ')[0] ?? '')).toBe(true);
  });

  const CHANGES: Readonly<Record<string, (tree: string) => Promise<void>>> = {
    'a file is longer': async (tree) => writeIn(tree, 'lib/list.c', 'longer list'),
    'a file has the same size and a new time': async (tree) => writeIn(tree, 'lib/list.c', 'tsil'),
    'a file is new': async (tree) => writeIn(tree, 'lib/new.c', ''),
    'a file is gone': async (tree) => rm(path.join(tree, 'lib/list.c')),
    'a file has another time': async (tree) => utimes(path.join(tree, 'lib/list.c'), 1, 1),
  };

  test.for(Object.entries(CHANGES))(
    'has another identity, and the same work tree, when %s',
    async ([, change], { cache }) => {
      const tree = await treeIn(cache, kind);
      const before = await open(tree);
      await change(tree);
      const after = await open(tree);
      expect(after.identity).not.toBe(before.identity);
      expect(after.treeName).toBe(before.treeName);
    },
  );

  test('is copied without what make left in it, and brought up to date later', async ({ cache, recorder }) => {
    const tree = await treeIn(cache, kind);
    const target = path.join(cache, 'target');
    const unpacking = path.join(cache, 'unpacking');
    await mkdir(unpacking);
    const work = workIn(cache, recorder.emit);
    await (await open(tree)).fill(work).unpack(unpacking);
    await rename(unpacking, target);
    expect(await filesBelow(target)).toEqual(['.gitignore', 'lib/list.c', 'mm/shmem.c']);

    await writeIn(tree, 'lib/list.c', 'newer');
    await utimes(path.join(tree, 'lib/list.c'), 1, 1);
    await writeIn(tree, 'mm/shmem.c', 'changed, but owned by the overlay');
    await writeIn(tree, 'lib/new.c', 'new');
    await rm(path.join(tree, '.gitignore'));
    await (await open(tree)).fill(work).refresh?.copy(target, ['mm/shmem.c']);
    expect(await readFile(path.join(target, 'lib/list.c'), 'utf8')).toBe('newer');
    expect(await readFile(path.join(target, 'mm/shmem.c'), 'utf8')).toBe('shmem');
    expect(await readdir(path.join(target, 'lib'))).toEqual(['list.c', 'new.c']);
    expect(await readdir(target)).not.toContain('.gitignore');
  });

  test('is copied whole, whatever its files are called', async ({ cache, recorder }) => {
    const tree = await treeIn(cache, kind);
    const names = ['#a.c', ';b.c', 'a\nb.c'];
    for (const name of names) await writeIn(tree, `odd/${name}`, name);
    const work = workIn(cache, recorder.emit);
    const unpacking = path.join(cache, 'unpacking');
    const target = path.join(cache, 'target');
    await mkdir(unpacking);
    await (await open(tree)).fill(work).unpack(unpacking);
    await rename(unpacking, target);
    expect((await readdir(path.join(target, 'odd'))).sort()).toEqual(names);
    for (const name of names) await rm(path.join(tree, 'odd', name));
    await (await open(tree)).fill(work).refresh?.copy(target, []);
    expect(await readdir(path.join(target, 'odd'))).toEqual([]);
  });
});

test('a tree whose files git can not list is no tree without files', async ({ cache }) => {
  const tree = await treeIn(cache, 'git');
  await writeIn(tree, '.git/index', 'broken');
  await expect(open(tree)).rejects.toMatchObject({
    name: 'RigError',
    message: expect.stringMatching(/git ls-files .* failed in .*tree with a space.*\n.*index/) as string,
  });
});

test.for([
  ['xargs', 'git'],
  ['find', 'plain'],
] as const)('nor is one for which %s fails', async ([program, kind], { cache }) => {
  const tree = await treeIn(cache, kind);
  const bin = path.join(cache, 'bin');
  await writeIn(bin, program, '#!/bin/sh\necho it is broken >&2\nexit 1\n');
  await chmod(path.join(bin, program), 0o755);
  vi.stubEnv('PATH', `${bin}:${process.env['PATH'] ?? ''}`);
  onTestFinished(() => void vi.unstubAllEnvs());
  await expect(open(tree)).rejects.toThrow(/The files of .* can't be listed: it is broken/);
});

test('the version names folder and commit', async ({ cache }) => {
  const tree = await treeIn(cache, 'git');
  const { stdout } = await execa('git', ['-C', tree, 'rev-parse', 'HEAD']);
  expect((await open(tree)).version).toBe(`${tree} at ${stdout.slice(0, 12)}`);
});

test('a tree has a commit that is worth a name where all is committed, and is not written to', async ({ cache }) => {
  const tree = await treeIn(cache, 'git');
  const { stdout } = await execa('git', ['-C', tree, 'rev-parse', 'HEAD']);
  const index = await readFile(path.join(tree, '.git/index'));
  await utimes(path.join(tree, 'lib/list.c'), 1, 1);
  expect((await open(tree)).commit).toBe(stdout);
  expect(await readFile(path.join(tree, '.git/index'))).toEqual(index);
  await writeIn(tree, 'lib/new.c', '');
  expect((await open(tree)).commit).toBeUndefined();
});
