/** An SSH session: what it keeps, and how its end is told, with a server in the test. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, onTestFinished, test } from 'vitest';
import { SshSession } from '../../../src/vm/link/ssh-session.ts';
import { fakeGuest, succeed, type FakeGuest, type Shell } from './fakes/fake-guest.ts';

const BOUNDS = { signal: new AbortController().signal, deadlineMs: 20_000 };
const KIB = 1024;

async function sessionWith(shell: Shell): Promise<{ guest: FakeGuest; session: SshSession }> {
  const guest = await fakeGuest(shell);
  const session = await SshSession.connect(guest, BOUNDS);
  onTestFinished(() => session.close());
  return { guest, session };
}

function heap(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}

test('what commands have printed is not kept', async () => {
  const text = 'x'.repeat(KIB * 256);
  const { session } = await sessionWith((channel) => succeed(channel, text));
  await session.exec('first', BOUNDS);
  const before = heap();
  for (let count = 0; count < 12; count++)
    expect((await session.exec('print', BOUNDS)).stdout).toHaveLength(text.length);
  expect(heap() - before).toBeLessThan(1536 * KIB);
});

test('what goes to standard input arrives byte by byte', async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
  const { session } = await sessionWith((channel) => {
    const parts: Buffer[] = [];
    channel.on('data', (part: Buffer) => parts.push(part));
    channel.on('end', () => succeed(channel, Buffer.concat(parts).toString('hex')));
  });
  expect((await session.exec('cat', BOUNDS, bytes)).stdout).toBe(bytes.toString('hex'));
});

describe('a connection that is lost', () => {
  test.for(['reset', 'fin'] as const)(
    'by a %s is a failure of the infrastructure, while a command runs',
    async (how) => {
      const { guest, session } = await sessionWith(() => guest.disconnect(how));
      await expect(session.exec('hang', BOUNDS)).rejects.toMatchObject({ failureClass: 'infrastructure' });
      expect(await session.lost).toMatchObject({ failureClass: 'infrastructure' });
      await expect(session.exec('again', BOUNDS)).rejects.toMatchObject({ failureClass: 'infrastructure' });
      await expect(session.open('again')).rejects.toMatchObject({ failureClass: 'infrastructure' });
    },
  );
});

test('a guest with another host key is not logged in to', async () => {
  const guest = await fakeGuest();
  const { hostKey } = await fakeGuest();
  await expect(SshSession.connect({ ...guest, hostKey }, BOUNDS)).rejects.toThrow('its host key differs');
});
