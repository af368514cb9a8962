/** The counters of a VM's kernel on their way to the host: they are lost with the VM, and fail no test. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { countersFolder, fetchCounters } from '../../../src/testbed/life/counters.ts';
import { endVm } from '../../../src/testbed/life/vm-verdict.ts';
import type { RigContext } from '../../../src/plan/rig-context.ts';
import type { Vm } from '../../../src/vm/vm.ts';

async function place(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

const TASK = { fullTestName: 'swap > it > fills', id: '7', file: { filepath: '/rig/src/suites/swap.suite.ts' } };

test('there is a folder for each VM, by its suite, before it boots', async () => {
  const counters = await place();
  await countersFolder({ counters }, TASK);
  const [vm = ''] = await readdir(path.join(counters, 'swap'));
  expect(vm).toMatch(/fills-7$/);
  expect(await readdir(path.join(counters, 'swap', vm))).toEqual([]);
});

test('nobody asks for them in an ordinary run', async () => {
  expect(await countersFolder({}, TASK)).toBeUndefined();
});

test.for([
  ['is dead', { state: { kind: 'dead' } }],
  ['has no such kernel', { state: { kind: 'ready' }, exec: () => Promise.resolve({ exitCode: 1 }) }],
  ['does not answer', { state: { kind: 'ready' }, exec: () => Promise.reject(new Error('time-out')) }],
] as const)('of a VM that %s they are lost, and that is all', async ([, vm]) => {
  await expect(fetchCounters(vm as unknown as Vm, await place())).resolves.toBeUndefined();
});

test('they are fetched from the VM of a failed test, too, and before it is ended', async () => {
  const steps: string[] = [];
  const vm = {
    kernelReports: [{ kind: 'oops', severity: 'bug', fatal: false, lines: [], title: 'BUG' }],
    kernelWarnings: [],
    state: { kind: 'ready' },
    folder: { path: '/artifacts/test', writeJson: () => Promise.resolve() },
    explain: (error: unknown) => error,
    hearKernelOut: () => Promise.resolve(),
    exec: (command: string) => {
      if (command.includes('/sys/kernel/debug/gcov')) steps.push('fetched');
      return Promise.resolve({ exitCode: 1, stdout: '', stderr: '' });
    },
    end: () => Promise.resolve(steps.push('ended')),
  };
  const rig = { build: { kernel: { vmlinux: '/no/vmlinux' } }, selection: { keep: false, flavour: 'gcov' } };
  const record = { params: {}, metrics: {}, kernelReports: [] };
  const ending = { failed: true, provokes: [], countersTo: await place() };
  await expect(endVm(vm as unknown as Vm, record, ending, rig as unknown as RigContext)).rejects.toThrow('BUG');
  expect(steps).toEqual(['fetched', 'ended']);
});
