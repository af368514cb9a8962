/** Boots a VM for one test of the rig itself, and sees to its end. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inject, onTestFinished } from 'vitest';
import { loadMachineProfile } from '../../src/config/machine-profile.ts';
import { acceleratorOf } from '../../src/testbed/life/vm-accelerator.ts';
import { Vm, type VmSpec } from '../../src/vm/vm.ts';

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function testVmSpec(machine: string, changes: Partial<VmSpec> = {}): Promise<VmSpec> {
  const rig = inject('rig');
  const signal = new AbortController().signal;
  return {
    profile: await loadMachineProfile(machine),
    accelerator: await acceleratorOf(rig, machine, signal),
    software: rig.build,
    folder: path.join(await temporaryFolder(), 'vm'),
    signal,
    ...changes,
  };
}

/** On the smallest machine, unless told otherwise. */
export async function bootTestVm(machine = 'noswap', changes: Partial<VmSpec> = {}): Promise<Vm> {
  const vm = await Vm.boot(await testVmSpec(machine, changes));
  onTestFinished(async () => {
    await vm.end({ keep: false, verdict: { status: 'passed' } });
  });
  return vm;
}

/** The error of a promise that has to fail. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}
