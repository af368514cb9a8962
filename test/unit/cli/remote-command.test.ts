/** `dgpu-rig shell -- COMMAND`, against a guest that does not answer any more. */
import { expect, onTestFinished, test } from 'vitest';
import { runCommand } from '../../../src/cli/desk/shell-verb.ts';
import { SshSession } from '../../../src/vm/link/ssh-session.ts';
import { fakeGuest, succeed, type Shell } from '../vm/fakes/fake-guest.ts';

const NEVER = new AbortController().signal;

async function sessionWith(shell: Shell): Promise<SshSession> {
  const ssh = await SshSession.connect(await fakeGuest(shell), { signal: NEVER, deadlineMs: 20_000 });
  onTestFinished(() => ssh.close());
  return ssh;
}

test('has the exit code of the command', async () => {
  expect(await runCommand(await sessionWith((channel) => succeed(channel)), 'true', NEVER)).toBe(0);
});

test('ends when its VM or the user ends it, though the guest says nothing', { timeout: 10_000 }, async () => {
  const end = new AbortController();
  const ssh = await sessionWith((channel) => {
    channel.close = () => true;
    end.abort(new Error('the kernel panicked'));
  });
  await expect(runCommand(ssh, 'echo c > /proc/sysrq-trigger', end.signal)).rejects.toThrow('the kernel panicked');
});
