/** A VM is ended, whatever fails while its test is judged. */
import { expect, test } from 'vitest';
import { endVm } from '../../../src/testbed/life/vm-verdict.ts';
import type { RigContext, TestRecord } from '../../../src/plan/rig-context.ts';
import { RigError } from '../../../src/util/rig-error.ts';
import type { KernelReportKind } from '../../../src/vm/kernel-log/kernel-report-kinds.ts';
import type { KernelReport } from '../../../src/vm/kernel-log/kernel-report.ts';
import type { Vm } from '../../../src/vm/vm.ts';

const RIG = { build: { kernel: { vmlinux: '/no/vmlinux' } }, selection: { keep: false, flavour: 'plain' } };
const FULL = new RigError('infrastructure', "device-stats.json can't be written: the disk is full.");

const OOPS: KernelReport = {
  ...{ kind: 'oops', severity: 'bug', fatal: false, lines: [] },
  title: 'BUG: kernel NULL pointer dereference, address: 0000000000000008',
};

interface Ended {
  readonly keep: boolean;
  readonly verdict: Record<string, unknown>;
}

/** As much of a VM as its end needs; it has died. */
function deadVm(
  writeJson: () => Promise<void>,
  kernelReports: readonly KernelReport[] = [],
): { vm: Vm; ended: Ended[] } {
  const ended: Ended[] = [];
  const vm = {
    kernelReports,
    kernelWarnings: [],
    state: { kind: 'dead', failure: new Error('QEMU is gone') },
    folder: { path: '/artifacts/test', writeJson },
    end: (how: Ended) => Promise.resolve(ended.push(how)),
  };
  return { vm: vm as unknown as Vm, ended };
}

function record(): TestRecord {
  return { params: {}, metrics: {}, kernelReports: [] };
}

test('a full disk is the failure, and the VM is ended and kept', async () => {
  const { vm, ended } = deadVm(() => Promise.reject(FULL));
  const ending = endVm(vm, record(), { failed: true, provokes: [] }, RIG as unknown as RigContext);
  await expect(ending).rejects.toThrow('the disk is full');
  expect(ended).toMatchObject([{ keep: true, verdict: { status: 'failed' } }]);
});

test('a test that passed leaves nothing', async () => {
  const { vm, ended } = deadVm(() => Promise.resolve());
  await endVm(vm, record(), { failed: false, provokes: [] }, RIG as unknown as RigContext);
  expect(ended).toMatchObject([{ keep: false, verdict: { status: 'passed' } }]);
});

test('a kernel bug that came after the last command fails a test that passed, unless it provokes that kind', async () => {
  const { vm, ended } = deadVm(() => Promise.resolve(), [OOPS]);
  const judge = (provokes: readonly KernelReportKind[]): Promise<void> =>
    endVm(vm, record(), { failed: false, provokes }, RIG as unknown as RigContext);
  await expect(judge([])).rejects.toMatchObject({
    failureClass: 'kernel',
    message: expect.stringContaining('NULL') as string,
  });
  await judge(['oops']);
  expect(ended).toMatchObject([
    { keep: true, verdict: { status: 'failed' } },
    { keep: false, verdict: { status: 'passed' } },
  ]);
});

test('a report that the test should have provoked and did not fails it, whatever else goes wrong', async () => {
  const { vm, ended } = deadVm(() => Promise.reject(FULL));
  const ending = endVm(vm, record(), { failed: false, provokes: ['warning'] }, RIG as unknown as RigContext);
  await expect(ending).rejects.toMatchObject({ failureClass: 'test' });
  expect(ended).toMatchObject([{ keep: true, verdict: { status: 'failed' } }]);
});
