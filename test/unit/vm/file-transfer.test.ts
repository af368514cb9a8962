/** Files into a guest and out of it, with a guest that does not play along. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ServerChannel } from 'ssh2';
import { expect, onTestFinished, test } from 'vitest';
import { getFiles, putFiles } from '../../../src/vm/link/file-transfer.ts';
import { SshSession } from '../../../src/vm/link/ssh-session.ts';
import { fakeGuest, type Shell } from './fakes/fake-guest.ts';

const NEVER = new AbortController().signal;
const MIB = 2 ** 20;

async function sessionWith(shell: Shell): Promise<SshSession> {
  const session = await SshSession.connect(await fakeGuest(shell), { signal: NEVER, deadlineMs: 10_000 });
  onTestFinished(() => session.close());
  return session;
}

async function bigFile(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-put-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'big');
  await writeFile(file, Buffer.alloc(8 * MIB));
  return file;
}

/** Takes a part of what it is given, and ends: its disk is full. */
function fillUp(channel: ServerChannel): void {
  let seen = 0;
  const take = (chunk: Buffer): void => {
    seen += chunk.length;
    if (seen < MIB) return;
    channel.off('data', take);
    channel.stderr.write('tar: big: No space left on device\n');
    channel.exit(1);
    channel.end();
    channel.close();
  };
  channel.on('data', take);
}

test('a guest whose disk is full ends the transfer, and says why', async () => {
  const session = await sessionWith(fillUp);
  await expect(putFiles(session, await bigFile(), '/full/big', NEVER)).rejects.toThrow(
    /could not be put to \/full\/big: tar: big: No space left on device/,
  );
});

test('an abort while the guest starts the command ends the transfer', async () => {
  for (const transfer of [putFiles, getFiles]) {
    const abort = new AbortController();
    const session = await sessionWith(() => abort.abort(new Error('Ctrl-C')));
    await expect(transfer(session, await bigFile(), '/tmp/x/', abort.signal)).rejects.toThrow('Ctrl-C');
  }
});

test('of what a guest complains without end, the last part is told', async () => {
  const session = await sessionWith((channel) => {
    channel.stderr.write(`${'x'.repeat(MIB)} the end\n`);
    channel.exit(1);
    channel.end();
    channel.close();
  });
  const failed = putFiles(session, await bigFile(), '/big', NEVER).catch((error: unknown) => String(error));
  const said = await failed;
  expect(said).toContain('x the end');
  expect(String(said).length).toBeLessThan(64 * 1024);
});
