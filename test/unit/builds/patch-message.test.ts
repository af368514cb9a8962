/** A patch by the id of its message: the real b4 fetches it, from an archive on loopback. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, onTestFinished, vi } from 'vitest';
import { patchFiles } from '../../../src/builds/tree/patch-message.ts';
import { applyPatch, readPatches } from '../../../src/builds/tree/patch-series.ts';
import { repositoryPath } from '../../../src/config/paths.ts';
import { whyNotInstalled } from '../../test-packages.ts';
import { test as base } from '../cache/temporary-cache.ts';
import { LoopbackList, type ListMessage } from './loopback-list.ts';

const NO_B4 = await whyNotInstalled(['b4']);

/** With a message that has no server to come from. */
const ID = '20261129-ttm-v2-0-abc@list.example';

const { signal } = new AbortController();

const test = base.extend<{ list: LoopbackList }>({
  list: async ({ cache }, use) => {
    const list = await LoopbackList.start();
    await writeFile(path.join(cache, '.gitconfig'), list.configuration);
    const home = { HOME: cache, XDG_CACHE_HOME: undefined, XDG_CONFIG_HOME: undefined, XDG_DATA_HOME: undefined };
    for (const [name, value] of Object.entries({ ...home, no_proxy: '127.0.0.1' })) vi.stubEnv(name, value);
    await use(list);
    vi.unstubAllEnvs();
    list.stop();
  },
});

function patchOf(
  to: string,
  id: string,
  title: string,
  [file, before, after]: readonly [string, string, string],
): ListMessage {
  const name = `drivers/gpu/drm/ttm/${file}`;
  const diff = [`--- a/${name}`, `+++ b/${name}`, '@@ -1,2 +1,2 @@', ` /* ${file} */`, `-${before}`, `+${after}`];
  const body = ['What for.', '---', ` ${name} | 2 +-`, '', `diff --git a/${name} b/${name}`, ...diff, '-- ', '2.47.3'];
  return { id, to, subject: title, body: body.join('\n') };
}

const OLD = patchOf('', 'v1', '[PATCH] drm/ttm: one', ['ttm_bo.c', 'int a = 1;', 'int a;']);
const COVER = {
  id: 'v2-0',
  to: 'v1',
  subject: '[PATCH v2 0/2] drm/ttm: less',
  body: 'Since v1: more.\n---\n two files',
};
const ONE = patchOf('v2-0', 'v2-1', '[PATCH v2 1/2] drm/ttm: one', ['ttm_bo.c', 'int a = 1;', 'int a = 1; /* ≤ 2 */']);
const TWO = patchOf('v2-0', 'v2-2', '[PATCH v2 2/2] drm/ttm: two', ['ttm_tt.c', 'int b = 1;', 'int b = 2;']);
const REPLY = {
  ...{ id: 'reply', to: 'v2-1', subject: 'Re: [PATCH v2 1/2] drm/ttm: one' },
  body: 'Looks good.\n\nReviewed-by: A Developer <developer@list.example>',
};
const SERIES = [OLD, COVER, { ...ONE, quoted: true }, TWO, REPLY];

describe.skipIf(NO_B4 !== undefined)(`with b4${NO_B4 === undefined ? '' : ` (${NO_B4})`}`, () => {
  test.for(['<v2-0@list.example>', 'v2-2@list.example', 'v1@list.example', 'ARCHIVE/v2-1@list.example/T/'])(
    '%s is the latest series of its thread, without what others replied, and it applies',
    async (word, { cache, recorder, list }) => {
      list.thread = SERIES;
      const given = word.replace('ARCHIVE', list.address);
      const [file = '', ...more] = await patchFiles([given], recorder.emit, signal);
      expect(more).toEqual([]);
      const named = given.replaceAll(/^<|>$/g, '');
      expect(recorder.events).toEqual([{ type: 'notice', text: `--patch ${named}: ${ONE.subject}, ${TWO.subject}` }]);
      expect(await readFile(file, 'utf8')).not.toContain('Reviewed-by');
      // To test a patch is not to accept it: b4 neither prepares a mail of thanks nor has patchwork say so.
      expect(list.patchwork).toEqual([]);
      expect(await readdir(cache)).not.toContain('.local');

      const tree = path.join(cache, 'tree');
      const ttm = path.join(tree, 'drivers/gpu/drm/ttm');
      await mkdir(ttm, { recursive: true });
      await writeFile(path.join(ttm, 'ttm_bo.c'), '/* ttm_bo.c */\nint a = 1;\n');
      await writeFile(path.join(ttm, 'ttm_tt.c'), '/* ttm_tt.c */\nint b = 1;\n');
      for (const patch of await readPatches([file])) await applyPatch(patch, tree, { title: 'Linux', misfit: 'usage' });
      expect(await readFile(path.join(ttm, 'ttm_bo.c'), 'utf8')).toBe('/* ttm_bo.c */\nint a = 1; /* ≤ 2 */\n');
      expect(await readFile(path.join(ttm, 'ttm_tt.c'), 'utf8')).toBe('/* ttm_tt.c */\nint b = 2;\n');
    },
  );

  test('among files, in their order; the same again is the same file, and another content another', async ({
    recorder,
    list,
  }) => {
    list.thread = [ONE, TWO];
    const files = await patchFiles(['a.patch', 'v2-1@list.example', 'b.patch'], recorder.emit, signal);
    expect(files.map((file) => path.basename(file))).toEqual(['a.patch', 'v2-1-list.example.mbox', 'b.patch']);
    const first = files[1] ?? '';
    expect(await patchFiles(['v2-1@list.example'], recorder.emit, signal)).toEqual([first]);
    // b4 keeps what it has fetched for ten minutes, under the id that it was asked for.
    list.thread = [ONE, { ...TWO, body: TWO.body.replace('b = 2', 'b = 3') }];
    const [other = ''] = await patchFiles(['v2-2@list.example'], recorder.emit, signal);
    expect(await readFile(other, 'utf8')).toContain('+int b = 3;');
    // A run that is repeated has what it had.
    expect(await readFile(first, 'utf8')).toContain('+int b = 2;');
  });

  test('a series that lacks a patch is none', async ({ recorder, list }) => {
    list.thread = [COVER, TWO];
    await expect(patchFiles(['v2-0@list.example'], recorder.emit, signal)).rejects.toMatchObject({
      failureClass: 'infrastructure',
      message: '--patch v2-0@list.example: b4 did not find all of the series: missing [1/2].',
      remedy: expect.stringMatching(/^Try again later, .*--patch/) as string,
    });
    expect(recorder.events).toEqual([]);
  });

  test('a message that is no patch, and one that nobody knows', async ({ recorder, list }) => {
    list.thread = [{ id: 'talk', to: '', subject: 'TTM', body: 'What do you think?' }];
    await expect(patchFiles(['talk@list.example'], recorder.emit, signal)).rejects.toMatchObject({
      failureClass: 'usage',
      message: '--patch talk@list.example: there is no patch in what b4 has fetched.',
    });
    // Whatever is done with it, and before anything is built.
    const argv = ['build', '--patch', 'nosuch@list.example'];
    const { exitCode, stdout, stderr } = await execa(repositoryPath('dgpu-rig'), argv, { reject: false });
    expect(stderr).toContain('--patch nosuch@list.example: b4 could not fetch it: That message-id is not known.\n  ');
    expect(stdout).not.toContain('Host packages');
    expect(exitCode).toBe(4);
  });

  test('an archive that is not there, in one sentence and without a stack', async ({ recorder, list }) => {
    list.stop();
    await expect(patchFiles([ID], recorder.emit, signal)).rejects.toMatchObject({
      failureClass: 'infrastructure',
      message: expect.stringMatching(/^--patch \S+: b4 could not fetch it: \S*ConnectionError: .*refused.*$/) as string,
    });
  });

  test('an interruption ends b4, too', async ({ recorder, list }) => {
    const controller = new AbortController();
    const reason = new Error('interrupted');
    const gone = new Promise<void>((resolve) => {
      list.silence = { asked: () => controller.abort(reason), gone: resolve };
    });
    await expect(patchFiles([ID], recorder.emit, controller.signal)).rejects.toBe(reason);
    await gone;
  });
});

test('without b4 it is said how to do without, or how to get it', async ({ cache, recorder }) => {
  vi.stubEnv('PATH', cache);
  onTestFinished(() => void vi.unstubAllEnvs());
  await expect(patchFiles([ID], recorder.emit, signal)).rejects.toMatchObject({
    failureClass: 'infrastructure',
    message: `--patch ${ID}: that is no file, and to fetch the message of this id takes b4, which is not installed.`,
    remedy: 'sudo apt-get install b4, or save the raw message, and give that file.',
  });
});

test('files are left as they are, even with an @ in their names', async ({ cache, recorder }) => {
  const file = path.join(cache, 'mine@home.patch');
  await writeFile(file, '');
  // The latter is told where files are read.
  expect(await patchFiles([file, '/nosuch.patch'], recorder.emit, signal)).toEqual([file, '/nosuch.patch']);
  expect(recorder.events).toEqual([]);
});
