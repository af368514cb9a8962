import { access, mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';

import type { OverlaySpec } from '../../../src/builds/tree/source-overlay.ts';
import { overlayKey } from '../../../src/builds/tree/source-overlay.ts';
import { editedFileOf, editWorkTree, prepareWorkTree } from '../../../src/builds/tree/work-tree.ts';
import type { WorkTree, WorkTreeSpec } from '../../../src/builds/tree/work-tree.ts';
import { test } from '../cache/temporary-cache.ts';

const ADD_LINE = `diff --git a/patched.c b/patched.c
--- a/patched.c
+++ b/patched.c
@@ -1 +1,2 @@
 original
+patched
`;

/** A tree of three files, and an overlay folder with a graft and a patch. */
class Example {
  readonly root: string;
  unpacked = 0;

  constructor(cache: string) {
    this.root = cache;
  }

  get overlay(): OverlaySpec {
    return { patchFolders: [this.own('patches')], graft: { folder: this.own('device'), to: 'hw/device' } };
  }

  own(...names: string[]): string {
    return path.join(this.root, 'own', ...names);
  }

  async write(name: string, content: string): Promise<void> {
    await mkdir(path.dirname(this.own(name)), { recursive: true });
    await writeFile(this.own(name), content);
  }

  async setUp(): Promise<void> {
    await this.write('patches/0001-add.patch', ADD_LINE);
    await this.write('device/device.c', 'the device');
    await this.write('device/README.md', 'not a source');
    await this.write('device/hooks.json', '[{"file":"Kconfig","after":"source dma","line":"source device"}]');
  }

  async prepare(overlay = this.overlay, more: Partial<WorkTreeSpec> = {}): Promise<WorkTree> {
    const unpack = async (folder: string): Promise<void> => {
      this.unpacked += 1;
      await writeFile(path.join(folder, 'patched.c'), 'original\n');
      await writeFile(path.join(folder, 'other.c'), 'other\n');
      await writeFile(path.join(folder, 'Kconfig'), 'source dma\n');
    };
    return prepareWorkTree(
      { kind: 'example', identity: '1', title: 'Example 1.0', misfit: 'infrastructure', neededGiB: 0, unpack, ...more },
      overlay,
    );
  }
}

async function content(tree: WorkTree, file: string): Promise<string> {
  return readFile(path.join(tree.source, file), 'utf8');
}

async function makeOld(tree: WorkTree): Promise<void> {
  for (const entry of await readdir(tree.source, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) await utimes(path.join(entry.parentPath, entry.name), 1, 1);
  }
}

async function changedSince(tree: WorkTree): Promise<string[]> {
  const entries = await readdir(tree.source, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const times = await Promise.all(files.map(async (file) => (await stat(file)).mtimeMs));
  return files.filter((_, index) => times[index] !== 1000).map((file) => path.relative(tree.source, file));
}

const exampleTest = test.extend<{ example: Example }>({
  example: async ({ cache }, use) => {
    const example = new Example(cache);
    await example.setUp();
    await use(example);
  },
});

describe('a work tree', () => {
  exampleTest('has patches, folder and hooks in it', async ({ example }) => {
    const tree = await example.prepare();
    expect(await content(tree, 'patched.c')).toBe('original\npatched\n');
    expect(await content(tree, 'hw/device/device.c')).toBe('the device');
    expect(await content(tree, 'Kconfig')).toBe('source dma\nsource device\n');
    expect(await content(tree, 'other.c')).toBe('other\n');
    expect(await readdir(path.join(tree.source, 'hw/device'))).toEqual(['device.c']);
  });

  exampleTest('has the patches of several folders in it, one folder after the other', async ({ example }) => {
    const onTop = ADD_LINE.replace('@@ -1 +1,2 @@\n original\n+patched', '@@ -2 +2,2 @@\n patched\n+again');
    await example.write('more/0000-later.patch', onTop);
    const { overlay } = example;
    const both = { ...overlay, patchFolders: [...(overlay.patchFolders ?? []), example.own('more')] };
    expect(await overlayKey(both)).not.toBe(await overlayKey(overlay));
    expect(await content(await example.prepare(both), 'patched.c')).toBe('original\npatched\nagain\n');
    expect(await content(await example.prepare(), 'patched.c')).toBe('original\npatched\n');
  });

  exampleTest('is unpacked once, and not touched when nothing has changed', async ({ example }) => {
    await makeOld(await example.prepare());
    const tree = await example.prepare();
    expect(example.unpacked).toBe(1);
    expect(await changedSince(tree)).toEqual([]);
  });

  exampleTest('gets only what has changed', async ({ example }) => {
    await makeOld(await example.prepare());
    await example.write('device/device.c', 'the better device');
    const tree = await example.prepare();
    expect(await changedSince(tree)).toEqual(['hw/device/device.c']);
    expect(await content(tree, 'hw/device/device.c')).toBe('the better device');
  });

  exampleTest('goes back to the original when a patch or a file is taken out', async ({ example }) => {
    await makeOld(await example.prepare());
    await rm(example.own('patches/0001-add.patch'));
    await rm(example.own('device/device.c'));
    await example.write('device/renamed.c', 'the device');
    const tree = await example.prepare();
    expect(await content(tree, 'patched.c')).toBe('original\n');
    expect((await changedSince(tree)).sort()).toEqual(['hw/device/renamed.c', 'patched.c']);
    expect(await readdir(path.join(tree.source, 'hw/device'))).toEqual(['renamed.c']);
    await example.write('patches/0001-add.patch', ADD_LINE);
    expect(await content(await example.prepare(), 'patched.c')).toBe('original\npatched\n');
  });

  exampleTest('is as it was when a patch does not apply', async ({ example }) => {
    await makeOld(await example.prepare());
    await example.write('patches/0002-bad.patch', ADD_LINE.replaceAll('original', 'unknown'));
    await expect(example.prepare()).rejects.toThrow('0002-bad.patch does not apply to Example 1.0');
    await rm(example.own('patches/0002-bad.patch'));
    expect(await changedSince(await example.prepare())).toEqual([]);
  });

  exampleTest('says which hook does not fit', async ({ example }) => {
    await example.write('device/hooks.json', '[{"file":"Kconfig","after":"source usb","line":"x"}]');
    await expect(example.prepare()).rejects.toThrow(
      /hooks\.json does not fit Example 1\.0: Kconfig has no line "source usb"/,
    );
    await example.write('device/hooks.json', '[{"file":"Missing","after":"source usb","line":"x"}]');
    await expect(example.prepare()).rejects.toThrow(/there is no Missing/);
  });

  exampleTest('has the lines of one way of building it, and only then', async ({ example }) => {
    const lines = [{ file: 'Kconfig', after: 'source dma', line: 'counted := y' }];
    const counted = await example.prepare({ ...example.overlay, lines });
    expect(await content(counted, 'Kconfig')).toBe('source dma\ncounted := y\nsource device\n');
    expect(await content(await example.prepare(), 'Kconfig')).toBe('source dma\nsource device\n');
    const unfit = example.prepare({ lines: [{ file: 'Kconfig', after: 'source usb', line: 'x' }] });
    await expect(unfit).rejects.toThrow('Kconfig has no line "source usb"');
  });

  exampleTest('is unpacked again after a build in it was killed', async ({ example }) => {
    const tree = await example.prepare();
    await writeFile(tree.dirtyMarker, 'make');
    await writeFile(path.join(tree.source, 'half.o'), '');
    await example.prepare();
    expect(example.unpacked).toBe(2);
    expect(await readdir(tree.source)).not.toContain('half.o');
    await expect(access(tree.dirtyMarker)).rejects.toThrow('ENOENT');
  });

  exampleTest('does not stay half unpacked', async ({ example, cache }) => {
    const unpack = async (folder: string): Promise<void> => {
      await writeFile(path.join(folder, 'half'), '');
      throw new Error('boom');
    };
    await expect(example.prepare(example.overlay, { unpack })).rejects.toThrow('boom');
    expect(await readdir(path.join(cache, 'work'))).toEqual([]);
  });

  exampleTest('needs room', async ({ example }) => {
    await expect(example.prepare(example.overlay, { neededGiB: 1e9 })).rejects.toMatchObject({
      failureClass: 'infrastructure',
      remedy: expect.stringContaining('DGPU_RIG_CACHE') as string,
    });
  });
});

exampleTest('the tree of older sources goes when it has not been used for long', async ({ example, cache }) => {
  await example.prepare();
  await example.prepare(example.overlay, { identity: '2' });
  await example.prepare(example.overlay, { kind: 'other' });
  await utimes(path.join(cache, 'work/example-1/overlay.json'), 1, 1);
  await utimes(path.join(cache, 'work/other-1/overlay.json'), 1, 1);
  await example.prepare(example.overlay, { identity: '3' });
  expect((await readdir(path.join(cache, 'work'))).sort()).toEqual(['example-2', 'example-3', 'other-1']);
});

exampleTest('sources that change at their origin are brought up to date below the overlay', async ({ example }) => {
  await example.prepare();
  await example.write('origin/patched.c', 'original\n\nlonger\n');
  const refresh = {
    from: example.own('origin'),
    copy: async (folder: string, except: readonly string[]): Promise<void> => {
      expect([...except].sort()).toEqual(['Kconfig', 'hw/device/device.c', 'patched.c']);
      await writeFile(path.join(folder, 'other.c'), 'newer\n');
    },
  };
  await example.write('origin/Kconfig', 'source dma\n');
  await example.write('patches/0001-add.patch', ADD_LINE.replace('-1 +1,2', '-1,3 +1,4').concat(' \n longer\n'));
  const tree = await example.prepare(example.overlay, { refresh });
  expect(await content(tree, 'patched.c')).toBe('original\npatched\n\nlonger\n');
  expect(await content(tree, 'other.c')).toBe('newer\n');
});

exampleTest('sources that the overlay does not fit are not copied first', async ({ example }) => {
  await example.write('origin/patched.c', 'something else\n');
  const refresh = { from: example.own('origin'), copy: () => Promise.reject(new Error('copied')) };
  await expect(example.prepare(example.overlay, { refresh })).rejects.toThrow('0001-add.patch does not apply');
  expect(example.unpacked).toBe(0);
});

exampleTest('the key changes with sources, hooks and patches, and not with documents', async ({ example }) => {
  const keys = [await overlayKey(example.overlay)];
  await example.write('device/README.md', 'changed');
  expect(await overlayKey(example.overlay)).toBe(keys[0]);
  for (const file of ['device/device.c', 'device/hooks.json', 'patches/0001-add.patch']) {
    await example.write(file, 'changed');
    keys.push(await overlayKey(example.overlay));
  }
  keys.push(await overlayKey({ ...example.overlay, lines: [{ file: 'Kconfig', after: 'source dma', line: 'x' }] }));
  expect(new Set(keys).size).toBe(5);
});

describe('patches of a person’s own', () => {
  const onDevice = (from: string): string =>
    `diff --git a/hw/device/device.c b/hw/device/device.c\n--- a/hw/device/device.c\n+++ b/hw/device/device.c\n@@ -1 +1 @@\n-${from}\n+mine\n`;
  const withPatch = (example: Example): OverlaySpec => ({ ...example.overlay, onTop: [example.own('mine.patch')] });

  exampleTest('go on top of the series and of the rig’s own files, and away again', async ({ example }) => {
    await example.write('device/device.c', 'the device\n');
    await example.write('mine.patch', onDevice('the device'));
    expect(await content(await example.prepare(withPatch(example)), 'hw/device/device.c')).toBe('mine\n');
    expect(await content(await example.prepare(), 'hw/device/device.c')).toBe('the device\n');
  });

  exampleTest('are the user’s to mend where they do not apply: patch, file and hunk are named', async ({ example }) => {
    await example.write('device/device.c', 'the device\n');
    await example.write('mine.patch', onDevice('another device'));
    await expect(example.prepare(withPatch(example))).rejects.toMatchObject({
      failureClass: 'usage',
      message: `${example.own('mine.patch')} does not apply to Example 1.0 with the series:\n  hw/device/device.c, hunk @@ -1 +1 @@`,
    });
  });

  exampleTest('are in the key, by their content', async ({ example }) => {
    await example.write('mine.patch', onDevice('a'));
    const keys = [await overlayKey(example.overlay), await overlayKey(withPatch(example))];
    await example.write('mine.patch', onDevice('b'));
    keys.push(await overlayKey(withPatch(example)));
    expect(new Set(keys).size).toBe(3);
  });

  exampleTest('are not lost where only an edited file is brought up to date', async ({ example }) => {
    await example.write('device/device.c', 'the device\n');
    await example.write('mine.patch', onDevice('the device'));
    await example.prepare(withPatch(example));
    const spec = { kind: 'example', identity: '1', title: '', misfit: 'usage', neededGiB: 0 } as const;
    const edited = new Map([['hw/device/device.c', example.own('device/device.c')]]);
    const unpack = (): Promise<void> => Promise.reject(new Error('It must not be unpacked'));
    expect(await editWorkTree({ ...spec, unpack }, withPatch(example), edited)).toBeUndefined();
  });
});

test('a tree that another version of the rig left is unpacked again', async ({ cache }) => {
  const example = new Example(cache);
  await example.setUp();
  const { source } = await example.prepare();
  await writeFile(path.join(path.dirname(source), 'overlay.json'), '{"format":9}');
  expect(await content(await example.prepare(), 'patched.c')).toBe('original\npatched\n');
  expect(example.unpacked).toBe(2);
});

describe('an edit of what is grafted', () => {
  const edited = (example: Example, name = 'device.c'): ReadonlyMap<string, string> =>
    new Map([[`hw/device/${name}`, example.own('device', name)]]);
  const spec = { kind: 'example', identity: '1', title: '', misfit: 'usage', neededGiB: 0 } as const;
  const unpack = (): Promise<void> => Promise.reject(new Error('It must not be unpacked'));

  test('gets into the tree, and nothing else is written there', async ({ cache }) => {
    const example = new Example(cache);
    await example.setUp();
    const { source } = await example.prepare();
    await example.write('device/device.c', 'edited');
    await writeFile(path.join(source, 'patched.c'), 'left alone');
    const tree = await editWorkTree({ ...spec, unpack }, example.overlay, edited(example));
    expect(tree?.source).toBe(source);
    expect(await readFile(path.join(source, 'hw/device/device.c'), 'utf8')).toBe('edited');
    expect(await readFile(path.join(source, 'patched.c'), 'utf8')).toBe('left alone');
  });

  test('takes the long way where the tree is not there, was left half-built, or the file is new', async ({ cache }) => {
    const example = new Example(cache);
    await example.setUp();
    expect(await editWorkTree({ ...spec, unpack }, example.overlay, edited(example))).toBeUndefined();
    const { dirtyMarker } = await example.prepare();
    await example.write('device/new.c', 'new');
    expect(await editWorkTree({ ...spec, unpack }, example.overlay, edited(example, 'new.c'))).toBeUndefined();
    await writeFile(dirtyMarker, '');
    expect(await editWorkTree({ ...spec, unpack }, example.overlay, edited(example))).toBeUndefined();
  });

  test('takes the long way after another checkout, with another series, has used the tree', async ({ cache }) => {
    const [mine, other] = [new Example(path.join(cache, 'mine')), new Example(path.join(cache, 'other'))];
    for (const example of [mine, other]) await example.setUp();
    await mine.prepare();
    await other.write('patches/0001-add.patch', ADD_LINE.replace('+patched', '+patched otherwise'));
    await other.prepare();
    expect(await editWorkTree({ ...spec, unpack }, mine.overlay, edited(mine))).toBeUndefined();
    expect(await content(await mine.prepare(), 'patched.c')).toBe('original\npatched\n');
    expect(await editWorkTree({ ...spec, unpack }, mine.overlay, edited(mine))).toBeDefined();
  });

  test('takes the short way after another checkout whose series is the same', async ({ cache }) => {
    const [mine, other] = [new Example(path.join(cache, 'mine')), new Example(path.join(cache, 'other'))];
    for (const example of [mine, other]) await example.setUp();
    await mine.prepare();
    await other.write('device/device.c', 'of the other');
    await other.prepare();
    const tree = await editWorkTree({ ...spec, unpack }, mine.overlay, edited(mine));
    expect(tree && (await content(tree, 'hw/device/device.c'))).toBe('the device');
  });
});

describe('what a compiler calls a file', () => {
  const grafted = new Map([['hw/edgpu/x.c', '/rig/edgpu/x.c']]);

  test('is one of the rig, as meson and kbuild name it', () => {
    const tree = { source: '/trees/src' };
    expect(editedFileOf(tree, '/trees/out', grafted)('../src/hw/edgpu/x.c')).toBe('/rig/edgpu/x.c');
    expect(editedFileOf(tree, '/trees/src', grafted)('./hw/edgpu/x.c')).toBe('/rig/edgpu/x.c');
    expect(editedFileOf(tree, '/trees/src', grafted)('hw/other.c')).toBeUndefined();
    expect(editedFileOf(tree, '/trees/out', grafted)('/usr/include/stdio.h')).toBeUndefined();
  });

  test("is one of the user's tree; the copy of one that the series has changed; what a link in it leads to", async ({
    cache,
  }) => {
    const [source, origin] = [path.join(cache, 'src'), path.join(cache, 'linux')];
    for (const folder of [source, origin]) {
      await mkdir(folder);
      await writeFile(path.join(folder, 'same.c'), 'a mistake');
      await writeFile(path.join(folder, 'patched.c'), folder === source ? 'patched' : 'original');
    }
    await writeFile(path.join(cache, 'driver.c'), 'the driver');
    await symlink(path.join(cache, 'driver.c'), path.join(origin, 'linked.c'));
    await writeFile(path.join(source, 'linked.c'), 'the driver');
    await writeFile(path.join(source, 'generated.c'), 'by the build');
    const fileOf = editedFileOf({ source, origin }, source, grafted);
    expect(['same.c', './patched.c', 'linked.c', 'generated.c', 'hw/edgpu/x.c'].map(fileOf)).toEqual([
      path.join(origin, 'same.c'),
      path.join(source, 'patched.c'),
      path.join(cache, 'driver.c'),
      undefined,
      '/rig/edgpu/x.c',
    ]);
  });

  test("needs to know of which tree of the user's the work tree is a copy", async ({ cache }) => {
    const example = new Example(cache);
    await example.setUp();
    const from = path.join(cache, 'linux');
    await mkdir(from);
    await writeFile(path.join(from, 'patched.c'), 'original\n');
    await writeFile(path.join(from, 'Kconfig'), 'source dma\n');
    const copy = (): Promise<void> => Promise.resolve();
    expect((await example.prepare(undefined, { refresh: { from, copy } })).origin).toBe(from);
  });
});
