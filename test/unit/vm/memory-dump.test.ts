/** Of which guests the memory is dumped, and that nothing which goes wrong with that is a failure of its own. */
import { existsSync } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { Vm, VmSpec } from '../../../src/vm/vm.ts';
import { bootFake, fakeGuest } from './fakes/fake-guest.ts';
import { FakeQemu } from './fakes/fake-qemu.ts';

const MIB = 2 ** 20;
const SYMBOLS = { vmlinux: '/k/vmlinux', debugModules: '/k/modules-debug' };

interface Started {
  readonly qemu: FakeQemu;
  readonly vm: Vm;
}

/** Its memory is 32 MiB, empty but for one word. */
async function start(kernel: object = SYMBOLS, spec: Partial<VmSpec> = {}): Promise<Started> {
  const qemu = await FakeQemu.create();
  qemu.on('dump-guest-memory', async ({ protocol }) => {
    const file = await open(String(protocol).replace('file:', ''), 'w');
    await file.write(Buffer.alloc(16 * MIB));
    await file.write(Buffer.from('a word'));
    await file.write(Buffer.alloc(16 * MIB));
    await file.close();
    return {};
  });
  const { software } = await qemu.spec();
  const changed = { ...software, kernel: { ...software.kernel, ...kernel } };
  const guest = await fakeGuest(() => undefined);
  return { qemu, vm: await bootFake(qemu, guest, { software: changed, ...spec }) };
}

async function hang(vm: Vm): Promise<void> {
  await expect(vm.exec('hang', { deadlineMs: 50 })).rejects.toThrow('did not end');
}

test('of one that hangs, in a file with holes, and with what has its symbols', async () => {
  const { vm } = await start();
  await hang(vm);
  await vm.end({ keep: true, verdict: {} });
  const { size, blocks } = await stat(vm.folder.file('memory.elf'));
  expect(size).toBe(32 * MIB + 'a word'.length);
  expect(blocks * 512).toBeLessThan(MIB);
  const record: unknown = JSON.parse(await readFile(vm.folder.file('memory.json'), 'utf8'));
  expect(record).toEqual({ vmlinux: '/k/vmlinux', modules: '/k/modules-debug' });
  expect(existsSync(vm.folder.file('memory.elf.fifo'))).toBe(false);
});

test('of one that has panicked', async () => {
  const { qemu, vm } = await start();
  await qemu.say('<0>[    1.000000][    T1] Kernel panic - not syncing: dead');
  await qemu.say('<0>[    1.000000][    T1] ---[ end Kernel panic - not syncing: dead ]---');
  await expect(vm.exec('true')).rejects.toThrow('Kernel panic');
  await vm.end({ keep: true, verdict: {} });
  expect(existsSync(vm.folder.file('memory.elf'))).toBe(true);
});

test('not of one that is well, nor where nothing is kept, nor where no debugger could read it', async () => {
  const well = await start();
  await well.vm.end({ keep: true, verdict: {} });
  const passed = await start();
  await hang(passed.vm);
  await passed.vm.end({ keep: false, verdict: {} });
  const plain = await start({});
  await hang(plain.vm);
  await plain.vm.end({ keep: true, verdict: {} });
  for (const { qemu } of [well, passed, plain]) expect(qemu.commands).not.toContain('dump-guest-memory');
});

test('a QEMU that refuses is no further failure, and leaves why', async () => {
  const { qemu, vm } = await start();
  qemu.on('dump-guest-memory', () => {
    throw new Error('no room');
  });
  await hang(vm);
  await vm.end({ keep: true, verdict: {} });
  expect(existsSync(vm.folder.file('memory.elf'))).toBe(false);
  const record: unknown = JSON.parse(await readFile(vm.folder.file('memory.json'), 'utf8'));
  expect(record).toEqual({ refused: 'QEMU refused dump-guest-memory: no room' });
});
