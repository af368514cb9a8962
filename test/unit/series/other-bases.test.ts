import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';

import type { Patch } from '../../../src/builds/tree/patch-series.ts';
import { tryBase } from '../../../src/series/other-bases.ts';
import { test } from '../cache/temporary-cache.ts';

/** A package as Debian makes them, of a kernel that has these files. */
async function packageOf(files: Readonly<Record<string, string>>, folder: string): Promise<string> {
  const tree = path.join(folder, 'linux-source-9.9');
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(tree, name)), { recursive: true });
    await writeFile(path.join(tree, name), content);
  }
  const root = path.join(folder, 'package');
  await mkdir(path.join(root, 'usr/src'), { recursive: true });
  await mkdir(path.join(root, 'DEBIAN'));
  await writeFile(
    path.join(root, 'DEBIAN/control'),
    'Package: linux-source-9.9\nVersion: 9.9.1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: none\n',
  );
  await execa('tar', ['-cJf', path.join(root, 'usr/src/linux-source-9.9.tar.xz'), '-C', folder, 'linux-source-9.9']);
  const deb = path.join(folder, 'linux-source-9.9.deb');
  await execa('dpkg-deb', ['-b', root, deb]);
  return deb;
}

async function patchOf(name: string, file: string, change: readonly [string, string], folder: string): Promise<Patch> {
  const [from, to] = change;
  const text = `diff --git a/${file} b/${file}\n--- a/${file}\n+++ b/${file}\n@@ -1 +1 @@\n-${from}\n+${to}\n`;
  await writeFile(path.join(folder, name), text);
  return { name, file: path.join(folder, name), text };
}

test('a fix that does not apply is told and left out; of what follows another that does not, fixes are tried', async ({
  cache,
}) => {
  const deb = await packageOf({ 'mm/shmem.c': 'a\n', 'mm/slub.c': 'x\n', README: 'of no patch\n' }, cache);
  const series = [
    await patchOf('0001-gone.patch', 'mm/gone.c', ['a', 'b'], cache),
    await patchOf('0002-fits.patch', 'mm/shmem.c', ['a', 'b'], cache),
    await patchOf('0010-fits-on-that.patch', 'mm/shmem.c', ['b', 'c'], cache),
    await patchOf('0011-does-not.patch', 'mm/slub.c', ['y', 'z'], cache),
    await patchOf('0012-would.patch', 'mm/shmem.c', ['c', 'd'], cache),
    await patchOf('0070-fits.patch', 'mm/slub.c', ['x', 'y'], cache),
    await patchOf('0073-would.patch', 'mm/slub.c', ['y', 'z'], cache),
    await patchOf('0095-misses-0012.patch', 'mm/shmem.c', ['d', 'e'], cache),
  ];
  const base = { title: 'linux-source-9.9 9.9.1', found: { file: deb }, series };
  const verdict = await tryBase(base, () => undefined, new AbortController().signal);
  expect(verdict).toMatchObject({
    base: 'linux-source-9.9 9.9.1',
    applied: ['0002-fits.patch', '0010-fits-on-that.patch', '0070-fits.patch'],
  });
  expect(verdict.misfits).toEqual([
    expect.stringMatching(/^0001-gone.patch does not apply to linux-source-9.9 9.9.1:\n {2}mm\/gone.c: No such file/),
    expect.stringMatching(/^0011-does-not.patch does not apply to .*:\n {2}mm\/slub.c, hunk @@ -1 \+1 @@/),
    expect.stringMatching(/^0095-misses-0012.patch does not apply to .*:\n {2}mm\/shmem.c, hunk @@ -1 \+1 @@/),
  ]);
});

test('a package that is damaged is no verdict', async ({ cache }) => {
  const deb = path.join(cache, 'damaged.deb');
  await writeFile(deb, 'nothing');
  const base = { title: 'damaged', found: { file: deb }, series: [] };
  await expect(tryBase(base, () => undefined, new AbortController().signal)).rejects.toThrow(/Unpacking damaged/);
});
