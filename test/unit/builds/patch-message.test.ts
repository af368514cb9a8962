/** A patch by the id of its message: b4 fetches it. Here b4 is a stand-in that says what it was asked. */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, vi } from 'vitest';
import { patchFiles } from '../../../src/builds/tree/patch-message.ts';
import { test } from '../cache/temporary-cache.ts';

const ID = '20261129-ttm-v2-0-abc@example.org';

const DIFF = (text: string): string => `diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-old\n+${text}\n`;

const MAILBOX = ['one', 'two']
  .map((text, index) => `From git@z Thu Jan  1 00:00:00 1970\nSubject: [PATCH ${index + 1}/2] ${text}\n\n${DIFF(text)}`)
  .join('\n');

const { signal } = new AbortController();

/** Nothing but this is in PATH, and what it was asked is in the file `asked`. */
async function havingB4(cache: string, script: string | undefined): Promise<void> {
  const bin = path.join(cache, 'bin');
  await mkdir(bin, { recursive: true });
  if (script !== undefined) {
    await writeFile(path.join(bin, 'b4'), `#!/bin/sh\necho "$@" >> ${cache}/asked\n${script}\n`);
    await chmod(path.join(bin, 'b4'), 0o755);
  }
  await writeFile(path.join(cache, 'mailbox'), MAILBOX);
  vi.stubEnv('PATH', bin);
  onTestFinished(() => void vi.unstubAllEnvs());
}

const SENDS = (cache: string): string => `while read -r line; do echo "$line"; done < ${cache}/mailbox`;

test('is fetched, with its series and without what others replied, and is a file', async ({ cache, recorder }) => {
  await havingB4(cache, SENDS(cache));
  const [file, ...more] = await patchFiles([`<${ID}>`], recorder.emit, signal);
  expect(more).toEqual([]);
  expect(await readFile(path.join(cache, 'asked'), 'utf8')).toBe(`am --no-add-trailers --outdir - -- ${ID}\n`);
  expect(await readFile(file ?? '', 'utf8')).toBe(MAILBOX);
  expect(path.basename(file ?? '')).toBe('20261129-ttm-v2-0-abc-example.org.mbox');
  expect(recorder.events).toEqual([{ type: 'notice', text: `--patch ${ID}: [PATCH 1/2] one, [PATCH 2/2] two` }]);
});

test('with another content it is another file, and with the same the same', async ({ cache, recorder }) => {
  await havingB4(cache, SENDS(cache));
  const fetched = async (): Promise<string | undefined> => (await patchFiles([ID], recorder.emit, signal))[0];
  const first = await fetched();
  expect(await fetched()).toBe(first);
  await writeFile(path.join(cache, 'mailbox'), MAILBOX.replace('+one', '+other'));
  expect(await fetched()).not.toBe(first);
  // A run that is repeated has what it had.
  expect(await readFile(first ?? '', 'utf8')).toBe(MAILBOX);
});

test('files are left as they are, even with an @ in their names', async ({ cache, recorder }) => {
  await havingB4(cache, undefined);
  const file = path.join(cache, 'mine@home.patch');
  await writeFile(file, DIFF('x'));
  // The latter is told where files are read.
  expect(await patchFiles([file, '/nosuch.patch'], recorder.emit, signal)).toEqual([file, '/nosuch.patch']);
  expect(recorder.events).toEqual([]);
});

test('the order is that of the command line', async ({ cache, recorder }) => {
  await havingB4(cache, SENDS(cache));
  const files = await patchFiles(['a.patch', ID, 'b.patch'], recorder.emit, signal);
  expect(files.map((file) => path.basename(file))).toEqual([
    'a.patch',
    '20261129-ttm-v2-0-abc-example.org.mbox',
    'b.patch',
  ]);
});

test('without b4 it is said how to do without, or how to get it', async ({ cache, recorder }) => {
  await havingB4(cache, undefined);
  await expect(patchFiles([ID], recorder.emit, signal)).rejects.toMatchObject({
    failureClass: 'infrastructure',
    message: `--patch ${ID}: that is no file, and to fetch the message of this id takes b4, which is not installed.`,
    remedy: 'sudo apt-get install b4, or save the raw message, and give that file.',
  });
});

test('what b4 says when it fails, in one sentence and without its stack', async ({ cache, recorder }) => {
  const says = `echo 'Traceback (most recent call last):' >&2; echo '  File "/x", line 1' >&2; echo 'ConnectionError: Name or service not known' >&2; exit 1`;
  await havingB4(cache, says);
  await expect(patchFiles([ID], recorder.emit, signal)).rejects.toMatchObject({
    failureClass: 'infrastructure',
    message: `--patch ${ID}: b4 could not fetch it: ConnectionError: Name or service not known`,
  });
});

test('a message that is no patch, and a b4 that sends nothing', async ({ cache, recorder }) => {
  for (const script of ['echo "Subject: hello"', '']) {
    await havingB4(cache, script);
    await expect(patchFiles([ID], recorder.emit, signal)).rejects.toMatchObject({
      failureClass: 'usage',
      message: `--patch ${ID}: there is no patch in what b4 has fetched.`,
    });
  }
});

test('an interruption ends b4, too', async ({ cache, recorder }) => {
  await havingB4(cache, `echo $$ > ${cache}/pid; exec /bin/sleep 60`);
  const controller = new AbortController();
  const reason = new Error('interrupted');
  const fetching = patchFiles([ID], recorder.emit, controller.signal);
  setTimeout(() => controller.abort(reason), 300);
  await expect(fetching).rejects.toBe(reason);
  const pid = Number(await readFile(path.join(cache, 'pid'), 'utf8'));
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});
