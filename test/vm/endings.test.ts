/** However a VM ends, the rig says which kind of failure it was, and nothing is left of it. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Vm } from '../../src/vm/vm.ts';
import { bootTestVm, failureOf, testVmSpec } from './test-vm.ts';

const PASSED = { status: 'passed' };

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${String(pid)}`);
}

describe('the class of a failure', () => {
  test('a panic is a kernel bug, though all that a command sees is a lost session', async () => {
    const vm = await bootTestVm();
    const failure = await failureOf(vm.exec('echo c > /proc/sysrq-trigger; sleep 100'));
    expect(failure).toMatchObject({ failureClass: 'kernel', message: expect.stringContaining('sysrq') as string });
    expect(vm.state.kind).toBe('dead');
    expect(vm.kernelReports).toMatchObject([{ kind: 'panic', fatal: true }]);
    expect(vm.kernelReports[0]?.lines.at(-1)).toContain('end Kernel panic');
  });

  test('a QEMU that is killed is infrastructure', async () => {
    const vm = await bootTestVm();
    const command = failureOf(vm.exec('sleep 100'));
    process.kill(vm.pid, 'SIGKILL');
    expect(await command).toMatchObject({
      failureClass: 'infrastructure',
      message: expect.stringContaining('SIGKILL') as string,
    });
  });

  test('a guest that no longer answers is a time-out', async () => {
    const vm = await bootTestVm();
    await vm.qmp('stop', {}, z.unknown());
    expect(await failureOf(vm.exec('true', { deadlineMs: 1000 }))).toMatchObject({ failureClass: 'timeout' });
  });

  test('a guest that resets itself is not booted again in silence: its kernel did that', async () => {
    const vm = await bootTestVm();
    const failure = await failureOf(vm.exec('echo b > /proc/sysrq-trigger; sleep 100'));
    expect(failure).toMatchObject({ failureClass: 'kernel', message: expect.stringContaining('reset') as string });
  });

  test('a QEMU that refuses its command line says why', async () => {
    const spec = await testVmSpec('noswap', { gpu: { dmaBits: 99, vramMiB: 64, apertureMiB: 64 } });
    expect(await failureOf(Vm.boot(spec))).toMatchObject({
      failureClass: 'infrastructure',
      message: expect.stringContaining('dma-bits') as string,
    });
  });

  test('an aborted run ends with its reason, while booting and afterwards', async () => {
    const early = new AbortController();
    const booting = failureOf(Vm.boot(await testVmSpec('noswap', { signal: early.signal })));
    setTimeout(() => early.abort(new Error('enough')), 300);
    expect(await booting).toMatchObject({ message: 'enough' });

    const late = new AbortController();
    const vm = await bootTestVm('noswap', { signal: late.signal });
    const command = failureOf(vm.exec('sleep 100'));
    late.abort(new Error('enough'));
    expect(await command).toMatchObject({ message: 'enough' });
  });
});

describe('the ending', () => {
  test('asks first, and leaves nothing', async () => {
    const vm = await bootTestVm();
    const ladder = await vm.end({ keep: false, verdict: PASSED });
    expect(ladder).toMatchObject([{ rung: 'quit', gone: true }]);
    expect(isAlive(vm.pid)).toBe(false);
    expect(existsSync(vm.folder.path)).toBe(false);
    expect(await vm.end({ keep: false, verdict: PASSED })).toBe(ladder);
  });

  test('does not depend on a QEMU that listens', async () => {
    const vm = await bootTestVm();
    process.kill(vm.pid, 'SIGSTOP');
    const ladder = await vm.end({ keep: false, verdict: PASSED });
    expect(ladder.map(({ rung, gone }) => [rung, gone])).toEqual([
      ['quit', false],
      ['terminate', false],
      ['kill', true],
    ]);
    expect(isAlive(vm.pid)).toBe(false);
  });

  test('keeps what explains and replays a failure, and not the swap', async () => {
    const vm = await bootTestVm('tight');
    const unproven: unknown = JSON.parse(await readFile(vm.folder.file('result.json'), 'utf8'));
    expect(unproven).toMatchObject({ status: 'failed' });
    await vm.end({ keep: true, verdict: PASSED });
    expect((await readdir(vm.folder.path)).sort()).toEqual([
      'commands.log',
      'initrd',
      'qmp.log',
      'replay.sh',
      'result.json',
      'serial.log',
    ]);
    expect(JSON.parse(await readFile(vm.folder.file('result.json'), 'utf8'))).toMatchObject({ status: 'passed' });
    expect(await readFile(vm.folder.file('serial.log'), 'utf8')).toMatch(/^.*Linux version/);
    expect(await readFile(vm.folder.file('qmp.log'), 'utf8')).toMatch(/^< \{"QMP"/);
  });
});
