/** Guests that misbehave: each ends with the right kind of failure, in bounded time, and is gone afterwards. */
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { BugLimit } from '../../src/testbed/life/bug-limit.ts';
import { Vm } from '../../src/vm/vm.ts';
import { bootTestVm, failureOf, testVmSpec } from '../vm/test-vm.ts';

/** A tenth of the usual patience, where it is known that it will run out. */
const IMPATIENT = { patience: 0.1 };

test('one that never boots is a time-out, with what it said last', async () => {
  const spec = await testVmSpec('noswap', { ...IMPATIENT, kernelArgs: ['rdinit=/bin/sleep', '--', '100000'] });
  expect(await failureOf(Vm.boot(spec))).toMatchObject({
    failureClass: 'timeout',
    message: expect.stringMatching(/RIG-READY.* did not end within 10 s/) as string,
  });
  // Of both processors, twice.
  const registers = await readFile(path.join(spec.folder, 'hang-registers.txt'), 'utf8');
  expect(registers.match(/^[ER]IP=\w+/gm)).toHaveLength(4);
});

test('one without an init is a kernel that panics', async () => {
  const spec = await testVmSpec('noswap', { kernelArgs: ['rdinit=/nothing', 'init=/nothing'] });
  expect(await failureOf(Vm.boot(spec))).toMatchObject({
    failureClass: 'kernel',
    message: expect.stringContaining('panic') as string,
  });
});

test('one that goes silent while a command runs is a time-out', async () => {
  const vm = await bootTestVm();
  // Nothing runs any more but the one who spins, without interrupts: no answer, no console.
  const command = vm.exec('for cpu in 0 1; do taskset -p 1 $$ > /dev/null; done; kill -STOP $PPID; sleep 1000', {
    deadlineMs: 3000,
  });
  expect(await failureOf(command)).toMatchObject({ failureClass: 'timeout' });
});

test('one that floods its console still runs commands, and is ended like any other', async () => {
  const vm = await bootTestVm();
  await vm.exec('(while :; do echo "<4>flood flood flood flood flood flood" > /dev/kmsg; done) > /dev/null 2>&1 &');
  for (let round = 0; round < 5; round++) expect((await vm.exec('sleep 0.5; echo there')).stdout).toBe('there\n');
  expect(vm.console.tail(3).join('\n')).toContain('flood');
  expect((await stat(vm.folder.file('serial.log'))).size).toBeGreaterThan(10_000);
  const { pid } = vm;
  await vm.end({ keep: false, verdict: { status: 'passed' } });
  expect(existsSync(`/proc/${String(pid)}`)).toBe(false);
});

test('one whose SSH server dies is infrastructure, and says where to look', async () => {
  const vm = await bootTestVm();
  const failure = await failureOf(vm.exec('killall -KILL dropbear; sleep 100'));
  expect(failure).toMatchObject({ failureClass: 'infrastructure', message: expect.stringContaining('SSH') as string });
  expect(vm.state.kind).toBe('dead');
});

test('one whose network goes is a time-out of the command, not a hang', async () => {
  const vm = await bootTestVm();
  const failure = await failureOf(vm.exec('ifconfig eth0 down; sleep 100', { deadlineMs: 3000 }));
  expect(failure).toMatchObject({ failureClass: 'timeout' });
});

test('one whose disk is full says so, and goes on', async () => {
  const vm = await bootTestVm();
  await vm.exec('mkdir /small && mount -t tmpfs -o size=1M small /small');
  const failure = await failureOf(vm.putFile('/small/large', Buffer.alloc(4 * 2 ** 20, 'x')));
  expect(failure).toMatchObject({
    failureClass: 'infrastructure',
    message: expect.stringContaining('No space left on device') as string,
  });
  expect((await vm.exec('rm /small/large; echo fine')).stdout).toBe('fine\n');
});

test('one that prints without end into a command is bounded', async () => {
  const vm = await bootTestVm();
  const failure = await failureOf(vm.exec('yes', { deadlineMs: 60_000 }));
  expect(failure).toMatchObject({
    failureClass: 'infrastructure',
    message: expect.stringContaining('output') as string,
  });
});

test('one whose kernel has a bug is given up soon, whatever its command may take', async () => {
  const limit = new BugLimit({ provokes: [], limitMs: 1000, tell: () => undefined });
  onTestFinished(() => limit.end());
  const vm = await bootTestVm('noswap', { onReport: (report) => limit.heard(report), signal: limit.signal });
  limit.watch(vm);
  const start = performance.now();
  const line = '<1>BUG: kernel NULL pointer dereference, address: 0000000000000008';
  const failure = await failureOf(vm.exec(`echo '${line}' > /dev/kmsg; sleep 1000`, { deadlineMs: 1_000_000 }));
  expect(failure).toMatchObject({ failureClass: 'kernel', message: expect.stringContaining('NULL') as string });
  expect(performance.now() - start).toBeLessThan(30_000);
  expect(await readFile(vm.folder.file('hang-registers.txt'), 'utf8')).toMatch(/[ER]IP=/);
  // What the blocked tasks are is on its console.
  expect(await readFile(vm.folder.file('serial.log'), 'utf8')).toContain('sysrq: Show Blocked State');
});
