/** The states of a VM and its end, with a fake QEMU and a fake guest. */
import { describe, expect, test } from 'vitest';
import { Vm } from '../../../src/vm/vm.ts';
import { bootFake, fakeGuest, succeed } from './fakes/fake-guest.ts';
import { FakeQemu } from './fakes/fake-qemu.ts';

test('a VM boots, runs a command and ends', async () => {
  const qemu = await FakeQemu.create();
  const guest = await fakeGuest((channel, command) => succeed(channel, `ran ${command}`));
  const vm = await bootFake(qemu, guest);
  expect(vm.state.kind).toBe('ready');
  expect(await vm.exec('uname')).toMatchObject({ exitCode: 0, stdout: 'ran uname' });
  expect(await vm.end({ keep: false, verdict: {} })).toMatchObject([{ rung: 'quit', gone: true }]);
  expect(qemu.commands).toEqual(['qmp_capabilities', 'human-monitor-command', 'quit']);
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
