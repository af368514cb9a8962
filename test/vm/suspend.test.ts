/** A suspend is one only if somebody outside saw it, and a guest that hangs on the way is found out. */
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { SleepRecord } from '../../src/vm/sleep/sleep-stages.ts';
import type { Vm } from '../../src/vm/vm.ts';
import { bootTestVm, failureOf } from './test-vm.ts';

const stageNames = ({ stages }: SleepRecord): string[] => stages.map(({ name }) => name);

const bootId = async (vm: Vm): Promise<string> => (await vm.exec('cat /proc/sys/kernel/random/boot_id')).stdout;

describe('suspend', () => {
  test('S3 again and again, witnessed by events', async () => {
    const vm = await bootTestVm();
    const boot = await bootId(vm);
    for (let turn = 1; turn <= 3; turn++) {
      const record = await vm.suspend('s3');
      expect(record.refusal).toBeUndefined();
      expect(stageNames(record)).toEqual([
        ...['request', 'sync', 'prepare', 'freeze', 'suspend-devices', 'platform', 'cpus-down', 'asleep'],
        ...['wake-up', 'cpus-up', 'resume-devices', 'thaw', 'complete', 'done'],
      ]);
      expect(vm.events('SUSPEND')).toHaveLength(turn);
      expect(vm.events('WAKEUP')).toHaveLength(turn);
    }
    expect(await bootId(vm)).toBe(boot);
  });

  test('S2idle, woken by an interrupt; and every stage of the kernel by itself, witnessed by no event', async () => {
    const vm = await bootTestVm();
    const record = await vm.suspend('s2idle');
    expect(record.refusal).toBeUndefined();
    expect(stageNames(record)).toContain('asleep');
    for (const pmTest of ['freezer', 'devices', 'platform', 'processors', 'core'] as const) {
      const { refusal } = await vm.suspend('s3', { pmTest });
      expect(refusal, pmTest).toBeUndefined();
    }
    expect(vm.events('SUSPEND')).toHaveLength(0);
  });

  test('S4: switched off for real, and resumed by another QEMU from the same disk', async () => {
    const vm = await bootTestVm('tight');
    const boot = await bootId(vm);
    await vm.putFile('/run/kept', 'yes');
    for (const powerOff of ['platform', 'shutdown'] as const) {
      const { pid } = vm;
      const record = await vm.suspend('s4', { powerOff });
      expect(record.refusal).toBeUndefined();
      expect(stageNames(record)).toEqual(
        expect.arrayContaining(['image-write', 'asleep', 'boot', 'image-read', 'restore']),
      );
      expect(vm.pid).not.toBe(pid);
    }
    expect(await bootId(vm)).toBe(boot);
    expect((await vm.exec('cat /run/kept')).stdout).toBe('yes');
  });

  test('what the kernel refuses is a result, and the VM goes on', async () => {
    const vm = await bootTestVm();
    // Hibernation, and nowhere to write the image to.
    const { refusal } = await vm.suspend('s4');
    expect(refusal).toMatch(/\w+/);
    expect((await vm.exec('echo on')).stdout).toBe('on\n');
  });

  test('a guest that hangs in a stage is given up, with what its CPUs do', async () => {
    const vm = await bootTestVm();
    const stopAt = (stage: string): void => {
      if (stage === 'freeze') void vm.qmp('stop', {}, z.unknown());
    };
    const failure = await failureOf(vm.suspend('s3', { onStage: stopAt, stageLimitMs: 2_000 }));
    expect(failure).toMatchObject({
      failureClass: 'timeout',
      message: expect.stringContaining('hangs in stage') as string,
    });
    expect(vm.state.kind).toBe('dead');
    expect(await readFile(vm.folder.file('hang-registers.txt'), 'utf8')).toContain('RIP=');
  });

  test('a disk that holds no image is told from one that was resumed', async () => {
    const vm = await bootTestVm('tight');
    const wipe = (stage: string): Promise<void> | undefined =>
      stage === 'asleep' ? vm.folder.wipeSwapImage() : undefined;
    const failure = await failureOf(vm.suspend('s4', { onStage: wipe }));
    expect(failure).toMatchObject({
      failureClass: 'test',
      message: expect.stringContaining('booted afresh') as string,
    });
  });
});
