/** The states of a VM and its end, with a fake QEMU and a fake guest. */
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { RigError } from '../../../src/util/rig-error.ts';
import { QemuProcess } from '../../../src/vm/qemu/qemu-process.ts';
import { QmpClient } from '../../../src/vm/qemu/qmp.ts';
import { Vm } from '../../../src/vm/vm.ts';
import { bootFake, fakeGuest, forwardTo, succeed } from './fakes/fake-guest.ts';
import { FakeQemu } from './fakes/fake-qemu.ts';
import { openFilesIn } from './fakes/open-files.ts';
import { VmUnderTest } from './fakes/vm-under-test.ts';

test('a VM boots, runs a command and ends', async () => {
  const qemu = await FakeQemu.create();
  const guest = await fakeGuest((channel, command) => succeed(channel, `ran ${command}`));
  const vm = await bootFake(qemu, guest);
  expect(vm.state.kind).toBe('ready');
  expect(await vm.exec('uname')).toMatchObject({ exitCode: 0, stdout: 'ran uname' });
  expect(await vm.end({ keep: false, verdict: {} })).toMatchObject([{ rung: 'quit', gone: true }]);
  expect(qemu.commands).toEqual(['qmp_capabilities', 'human-monitor-command', 'quit']);
});

test('what the kernel logs reaches the rig later than the end of the command, and is waited for', async () => {
  const qemu = await FakeQemu.create();
  const say = async (...lines: string[]): Promise<void> => {
    for (const line of lines) await qemu.say(line);
  };
  const guest = await fakeGuest((channel, command) => {
    succeed(channel);
    const mark = /'<6>(.*)' > \/dev\/kmsg/.exec(command)?.[1] ?? '';
    if (mark)
      setTimeout(
        () =>
          void say(
            '<4>[    9.100000][   T51] WARNING: init/main.c:1375 at do_one_initcall+0x2a7/0x3a0, CPU#1: insmod/51',
            `<6>${mark}`,
          ),
        100,
      );
  });
  const vm = await bootFake(qemu, guest);
  await vm.exec('provoke');
  expect(vm.kernelReports).toEqual([]);
  await vm.hearKernelOut();
  expect(vm.kernelReports).toMatchObject([{ kind: 'warning' }]);
});

test('a console that says nothing more is a timeout', async () => {
  const vm = await bootFake(await FakeQemu.create(), await fakeGuest(), { patience: 0.02 });
  await expect(vm.hearKernelOut()).rejects.toMatchObject({ failureClass: 'timeout' });
});

describe('an abort', () => {
  test.for(['at once', 'when QEMU has been started'])('%s ends a boot', async (when) => {
    const qemu = await FakeQemu.create({ greets: false });
    const abort = new AbortController();
    const booting = Vm.boot(await qemu.spec({ signal: abort.signal, patience: 1000 }));
    if (when !== 'at once') await qemu.started();
    abort.abort(new Error('Ctrl-C'));
    await expect(booting).rejects.toThrow('Ctrl-C');
  });
});

describe('a VM that could not be built', () => {
  test('leaves nothing open, and says why', async () => {
    const qemu = await FakeQemu.create();
    await rm(qemu.initrd);
    const spec = await qemu.spec();
    await expect(Vm.boot(spec)).rejects.toMatchObject({
      failureClass: 'infrastructure',
      message: expect.stringContaining('guest-initrd') as string,
    });
    expect(await openFilesIn(spec.folder)).toEqual([]);
    expect(await readdir(spec.folder)).not.toContain('console.out');
    const verdict: unknown = JSON.parse(await readFile(path.join(spec.folder, 'result.json'), 'utf8'));
    expect(verdict).toMatchObject({ status: 'failed', reason: expect.stringContaining('guest-initrd') as string });
  });

  test('the same of a clone whose swap can not be copied', async () => {
    const qemu = await FakeQemu.create();
    const spec = await qemu.spec();
    const template = {
      folder: qemu.folder,
      state: path.join(qemu.folder, 'state'),
      initrd: qemu.initrd,
      swapImage: path.join(qemu.folder, 'no-such-swap.img'),
      key: { publicKey: '', privateKey: '' },
      hostKey: '',
    };
    await expect(Vm.clone(spec, template)).rejects.toMatchObject({
      failureClass: 'infrastructure',
      message: expect.stringContaining('swap') as string,
    });
    expect(await openFilesIn(spec.folder)).toEqual([]);
  });
});

describe('the end of a VM', () => {
  test('asked for twice comes once, and both know when', async () => {
    const qemu = await FakeQemu.create();
    const vm = await bootFake(qemu, await fakeGuest());
    const end = (): Promise<unknown> => vm.end({ keep: false, verdict: {} });
    const first = end();
    const ladder = await end();
    expect(ladder).toMatchObject([{ rung: 'quit', gone: true }]);
    expect(await first).toBe(ladder);
    expect(qemu.commands.filter((name) => name === 'quit')).toHaveLength(1);
  });

  test('closes all else where QEMU survives even SIGKILL', async () => {
    const [qemu, guest] = [await FakeQemu.create(), await fakeGuest()];
    forwardTo(qemu, guest);
    const spec = await qemu.spec();
    void qemu.started().then(() => qemu.say(`RIG-READY ${guest.hostKey}`, spec.folder));
    const vm = await Vm.boot(spec);
    const stuck = new RigError('infrastructure', 'QEMU survived SIGKILL.');
    vi.spyOn(QemuProcess.prototype, 'end').mockRejectedValueOnce(stuck);
    const close = vi.spyOn(QmpClient.prototype, 'close');
    onTestFinished(() => {
      vi.restoreAllMocks();
      process.kill(vm.pid, 'SIGKILL');
    });
    await expect(vm.end({ keep: true, verdict: { status: 'failed' } })).rejects.toBe(stuck);
    expect(close).toHaveBeenCalledOnce();
    expect(await openFilesIn(vm.folder.path)).toEqual([]);
    expect(await readFile(path.join(vm.folder.path, 'result.json'), 'utf8')).toContain('failed');
  });

  test('leaves nothing open', async () => {
    const vm = await bootFake(await FakeQemu.create(), await fakeGuest());
    await vm.end({ keep: true, verdict: {} });
    expect(await openFilesIn(vm.folder.path)).toEqual([]);
  });
});

describe('a machine that is switched on again', () => {
  test.for(['while it is off', 'while its QEMU starts'])('and ended %s leaves nothing', async (when) => {
    const real = await VmUnderTest.create();
    await real.start('boot');
    await real.listen();
    await real.starting;
    const { vm } = real;
    if (!vm) throw new Error('It did not boot');
    await real.suspend(vm, 's4');
    const again = when === 'while it is off' ? real.poweredOff(vm) : real.qemu.started();
    await real.switchOff(vm);
    await again;
    await vm.end({ keep: true, verdict: {} });
    expect(await real.sleeping).toBe('infrastructure');
    await expect.poll(() => real.leftovers(), { timeout: 5000 }).toEqual([]);
  });
});

describe('the process of QEMU', () => {
  test('has no capabilities but to find its files, gets no privileges, and is what the host kills first', async () => {
    const vm = await bootFake(await FakeQemu.create(), await fakeGuest());
    const status = await readFile(`/proc/${String(vm.pid)}/status`, 'utf8');
    const field = (name: string): bigint =>
      BigInt(`0x${new RegExp(`^${name}:\\s+(\\w+)$`, 'm').exec(status)?.[1] ?? ''}`);
    expect(field('NoNewPrivs')).toBe(1n);
    const findsFiles = 1n << 2n;
    for (const set of ['CapPrm', 'CapEff', 'CapInh', 'CapAmb']) expect(field(set) & ~findsFiles, set).toBe(0n);
    expect(await readFile(`/proc/${String(vm.pid)}/oom_score_adj`, 'utf8')).toBe('1000\n');
  });

  test('that was killed: the failure says what may have done it', async () => {
    const vm = await bootFake(await FakeQemu.create(), await fakeGuest());
    process.kill(vm.pid, 'SIGKILL');
    await expect(vm.waitForEvent('NEVER', 60_000)).rejects.toMatchObject({
      failureClass: 'infrastructure',
      message: expect.stringContaining('killed by SIGKILL') as string,
    });
    await expect
      .poll(() => vm.explain(new Error('any')))
      .toMatchObject({
        message: expect.stringContaining('killed by SIGKILL') as string,
        remedy: expect.stringContaining('memory') as string,
      });
  });

  test.for([
    { reason: 'guest-reset', failureClass: 'kernel', message: 'The guest was reset while' },
    { reason: 'guest-shutdown', failureClass: 'infrastructure', message: 'exited with code 0 (guest-shutdown) while' },
    { reason: 'host-signal', failureClass: 'infrastructure', message: 'exited with code 0 (host-signal) while' },
  ])('that ended by itself: the failure has the reason $reason', async ({ reason, failureClass, message }) => {
    const qemu = await FakeQemu.create();
    const vm = await bootFake(qemu, await fakeGuest());
    qemu.event('SHUTDOWN', { reason });
    await vm.waitForEvent('SHUTDOWN', 10_000);
    qemu.exit(0);
    await expect(vm.waitForEvent('NEVER', 60_000)).rejects.toMatchObject({
      failureClass,
      message: expect.stringContaining(message) as string,
    });
  });

  test('that KVM can run no further: the failure has what QEMU says about it', async () => {
    const qemu = await FakeQemu.create();
    const vm = await bootFake(qemu, await fakeGuest());
    await qemu.complain('KVM internal error. Suberror: 1\nemulation failure');
    qemu.on('query-status', () => ({ status: 'internal-error', running: false }));
    qemu.event('STOP');
    await expect(vm.waitForEvent('NEVER', 60_000)).rejects.toThrow(
      'any further, and QEMU has stopped it.\nIt said: KVM internal error. Suberror: 1\nemulation failure\n',
    );
  });
});
