import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, onTestFinished, vi } from 'vitest';

import {
  applyPatch,
  describeRejects,
  patchsetHash,
  readPatches,
  readSeries,
  touchedFiles,
} from '../../../src/builds/tree/patch-series.ts';
import type { Patch } from '../../../src/builds/tree/patch-series.ts';
import { test } from '../cache/temporary-cache.ts';
import { quotedPrintable } from './loopback-list.ts';

const LINUX = { title: 'Linux', misfit: 'infrastructure' } as const;

const NUMBERS = Array.from({ length: 30 }, (_, index) => `line ${index + 1}`);

const TEXT = `From 0123456789 Mon Sep 17 00:00:00 2001
Subject: [PATCH] mm/shmem: example

Text that mentions a/mm/other.c and even
--- a/in/text

---
 mm/shmem.c | 2 ++

diff --git a/mm/shmem.c b/mm/shmem.c
--- a/mm/shmem.c
+++ b/mm/shmem.c
@@ -2,3 +2,4 @@
 line 2
+new first
 line 3
 line 4
@@ -20,3 +21,4 @@ context
 line 20
+new second
 line 21
 line 22
diff --git a/mm/new.c b/mm/new.c
new file mode 100644
--- /dev/null
+++ b/mm/new.c
@@ -0,0 +1 @@
+created
`;

async function patchIn(cache: string, text = TEXT): Promise<Patch> {
  const file = path.join(cache, '0001-example.patch');
  await writeFile(file, text);
  return { name: '0001-example.patch', file, text };
}

async function treeIn(cache: string, lines: readonly string[]): Promise<string> {
  await mkdir(path.join(cache, 'tree/mm'), { recursive: true });
  await writeFile(path.join(cache, 'tree/mm/shmem.c'), `${lines.join('\n')}\n`);
  return path.join(cache, 'tree');
}

test('a patch applies or not, whatever the user has told git about blanks', async ({ cache }) => {
  vi.stubEnv('HOME', cache);
  onTestFinished(() => void vi.unstubAllEnvs());
  await writeFile(path.join(cache, '.gitconfig'), '[apply]\n\tignoreWhitespace = change\n');
  const tree = await treeIn(
    cache,
    NUMBERS.map((line) => line.replace(' ', '   ')),
  );
  await expect(applyPatch(await patchIn(cache), tree, LINUX)).rejects.toThrow('does not apply');
});

test('a series is read in the order of its names, and nothing else is', async ({ cache }) => {
  for (const name of ['0002-b.patch', '0001-a.patch', 'README.md']) await writeFile(path.join(cache, name), name);
  expect((await readSeries(cache)).map(({ name }) => name)).toEqual(['0001-a.patch', '0002-b.patch']);
  expect(await readSeries(path.join(cache, 'missing'))).toEqual([]);
});

test('a set of patches is named as KCIDB names it', async ({ cache }) => {
  for (const name of ['1.patch', '2.patch']) await writeFile(path.join(cache, name), name);
  const sum = 'sha256sum *.patch | cut -c-64 | sha256sum | cut -c-64';
  const { stdout } = await execa('sh', ['-c', sum], { cwd: cache });
  expect(patchsetHash(await readSeries(cache))).toBe(stdout);
  expect(patchsetHash([])).toBe('');
});

test('what is given as a patch and is none', async ({ cache }) => {
  await expect(readPatches(['/nosuch.patch'])).rejects.toThrow('--patch /nosuch.patch: there is no such file');
  await patchIn(cache, 'Subject: [PATCH] nothing\n');
  await expect(readPatches([path.join(cache, '0001-example.patch')])).rejects.toMatchObject({
    failureClass: 'usage',
    message: expect.stringContaining("that is no patch of git's") as string,
  });
});

test.for(['base64', 'Quoted-Printable'])('a message that is encoded as %s', async (encoding, { cache }) => {
  const head = `Subject: [PATCH] mm/shmem: example\nContent-transfer-encoding: ${encoding}\n\n`;
  await patchIn(cache, head + (encoding === 'base64' ? Buffer.from(TEXT).toString('base64') : quotedPrintable(TEXT)));
  const file = path.join(cache, '0001-example.patch');
  await expect(readPatches([file])).rejects.toMatchObject({
    failureClass: 'usage',
    message: `--patch ${file}: that is a message whose text is encoded (${encoding}).`,
    remedy: `git mailinfo /dev/null plain.patch < ${file} writes its patch as plain text.`,
  });
  await execa('sh', ['-c', `git mailinfo /dev/null '${cache}/plain.patch' < '${file}'`]);
  const tree = await treeIn(cache, NUMBERS);
  for (const patch of await readPatches([path.join(cache, 'plain.patch')])) await applyPatch(patch, tree, LINUX);
});

test('the files that a patch touches, not those it talks about', async ({ cache }) => {
  expect(touchedFiles(await patchIn(cache))).toEqual(['mm/shmem.c', 'mm/new.c']);
});

describe('applying', () => {
  test('to a tree whose lines have moved', async ({ cache }) => {
    const tree = await treeIn(cache, ['moved', 'down', ...NUMBERS]);
    await applyPatch(await patchIn(cache), tree, LINUX);
    expect(await readFile(path.join(tree, 'mm/shmem.c'), 'utf8')).toMatch(/line 20\nnew second\nline 21/);
    expect(await readFile(path.join(tree, 'mm/new.c'), 'utf8')).toBe('created\n');
  });

  test('in a tree within some repository', async ({ cache }) => {
    await mkdir(path.join(cache, '.git'));
    const tree = await treeIn(cache, NUMBERS);
    await applyPatch(await patchIn(cache), tree, LINUX);
    expect(await readFile(path.join(tree, 'mm/new.c'), 'utf8')).toBe('created\n');
  });

  test('to another tree: patch, tree, file and hunk are named, and no file is changed', async ({ cache }) => {
    const lines = NUMBERS.with(20, 'line twenty-one');
    const tree = await treeIn(cache, lines);
    await expect(applyPatch(await patchIn(cache), tree, { title: 'Linux 7.2', misfit: 'usage' })).rejects.toMatchObject(
      {
        failureClass: 'usage',
        message: '0001-example.patch does not apply to Linux 7.2:\n  mm/shmem.c, hunk @@ -20,3 +21,4 @@ context',
      },
    );
    expect(await readFile(path.join(tree, 'mm/shmem.c'), 'utf8')).toBe(`${lines.join('\n')}\n`);
  });

  test('to a tree without the file', async ({ cache }) => {
    await mkdir(path.join(cache, 'tree'));
    const applying = applyPatch(await patchIn(cache), path.join(cache, 'tree'), LINUX);
    await expect(applying).rejects.toThrow('mm/shmem.c: No such file or directory');
  });
});

test('a place that is no hunk of the patch is still named', async ({ cache }) => {
  const description = describeRejects(await patchIn(cache), 'error: patch failed: mm/shmem.c:7\n');
  expect(description).toBe('  mm/shmem.c, hunk at line 7');
});
