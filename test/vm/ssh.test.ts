import { z } from 'zod';
import { expect, test } from 'vitest';
import { generateSshKey, SshSession } from '../../src/vm/link/ssh-session.ts';
import type { Vm } from '../../src/vm/vm.ts';
import { bootTestVm, failureOf } from './test-vm.ts';

async function forwardedPort(vm: Vm): Promise<number> {
  const text = await vm.qmp('human-monitor-command', { 'command-line': 'info usernet' }, z.string());
  return Number(/127\.0\.0\.1\s+(\d+)/.exec(text)?.[1]);
}

test('commands, their output, their exit codes, their input; and files', async () => {
  const vm = await bootTestVm();
  expect(await vm.exec('echo out; echo err >&2; exit 7')).toMatchObject({
    exitCode: 7,
    stdout: 'out\n',
    stderr: 'err\n',
  });
  expect(await vm.exec('kill -TERM $$')).toMatchObject({ exitCode: null, signal: 'SIGTERM' });
  expect((await vm.exec('wc -c', { stdin: 'x'.repeat(300_000) })).stdout.trim()).toBe('300000');
  expect((await vm.exec('seq 200000')).stdout.split('\n')).toHaveLength(200_001);
  await vm.putFile("/tmp/it's a file", 'content', 0o600);
  expect((await vm.exec(`cat "/tmp/it's a file"`)).stdout).toBe('content');
});

test('the exit code of a command too short to be heard is heard', async () => {
  const vm = await bootTestVm();
  const results = await Promise.all(Array.from({ length: 8 }, () => vm.exec('true')));
  for (let i = 0; i < 30; i++) results.push(await vm.exec('true'));
  expect(results.every(({ exitCode }) => exitCode === 0)).toBe(true);
  const codes: (number | null)[] = [];
  for (let i = 0; i < 30; i++) {
    const { channel, ended } = await vm.session().open('exit 3');
    channel.resume();
    channel.end();
    codes.push(await ended);
  }
  expect(codes.filter((code) => code !== 3)).toEqual([]);
});

test('a server with another host key is not our guest, and a stranger is not let in', async () => {
  const vm = await bootTestVm();
  const port = await forwardedPort(vm);
  const { privateKey } = generateSshKey();
  const bounds = { signal: vm.signal, deadlineMs: vm.limits.sshConnect };
  const other = Buffer.alloc(51, 7).toString('base64');
  expect(await failureOf(SshSession.connect({ port, hostKey: other, privateKey }, bounds))).toMatchObject({
    failureClass: 'infrastructure',
    message: expect.stringContaining('host key differs') as string,
  });
  const hostKey = /RIG-READY (\S+)/.exec(vm.console.tail(1000).join('\n'))?.[1] ?? '';
  expect(await failureOf(SshSession.connect({ port, hostKey, privateKey }, bounds))).toMatchObject({
    message: expect.stringContaining('authentication') as string,
  });
});
