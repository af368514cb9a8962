/** A VM is ended, whatever fails while its test is judged. */
import { describe, expect, test } from 'vitest';
import { endVm } from '../../../src/testbed/life/vm-verdict.ts';
import type { Provoked } from '../../../src/testbed/life/provoked.ts';
import type { RigContext, TestRecord } from '../../../src/plan/rig-context.ts';
import { RigError } from '../../../src/util/rig-error.ts';
import type { KernelReport, KernelWarning } from '../../../src/vm/kernel-log/kernel-report.ts';
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
  changes: object = {},
): { vm: Vm; ended: Ended[] } {
  const ended: Ended[] = [];
  const vm = {
    kernelReports,
    kernelWarnings: [],
    state: { kind: 'dead', failure: new Error('QEMU is gone') },
    folder: { path: '/artifacts/test', writeJson },
    end: (how: Ended) => Promise.resolve(ended.push(how)),
    ...changes,
  };
  return { vm: vm as unknown as Vm, ended };
}

/** One that is up, and has logged a report that the rig has not read yet. */
function lateVm(hears: () => Promise<void>): { vm: Vm; reports: KernelReport[] } {
  const reports: KernelReport[] = [];
  const { vm } = deadVm(() => Promise.resolve(), reports, {
    state: { kind: 'ready' },
    explain: (error: unknown) => error,
    exec: () => Promise.resolve({ exitCode: 0, stdout: '0', stderr: '' }),
    hearKernelOut: hears,
  });
  return { vm, reports };
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

test('a test that passed leaves nothing, unless it is to be kept', async () => {
  const { vm, ended } = deadVm(() => Promise.resolve());
  await endVm(vm, record(), { failed: false, provokes: [] }, RIG as unknown as RigContext);
  await endVm(vm, record(), { failed: false, provokes: [], keep: true }, RIG as unknown as RigContext);
  expect(ended).toMatchObject([
    { keep: false, verdict: { status: 'passed' } },
    { keep: true, verdict: { status: 'passed' } },
  ]);
});

test('a kernel bug that came after the last command fails a test that passed, unless it provokes that kind', async () => {
  const { vm, ended } = deadVm(() => Promise.resolve(), [OOPS]);
  const judge = (provokes: readonly Provoked[]): Promise<void> =>
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

describe('a line that belongs to no report', () => {
  const LINES: readonly KernelWarning[] = [
    { level: 3, text: 'edgpu 0000:00:04.0: device inaccessible' },
    { level: 4, text: 'foo: odd' },
  ];

  async function judged(provokes: readonly Provoked[]): Promise<TestRecord> {
    const { vm } = deadVm(() => Promise.resolve(), [OOPS], { kernelWarnings: LINES });
    const judgedRecord = record();
    await endVm(vm, judgedRecord, { failed: false, provokes: ['oops', ...provokes] }, RIG as unknown as RigContext);
    return judgedRecord;
  }

  test('is listed, unless the test provokes it', async () => {
    expect((await judged([])).warnings).toMatchObject(LINES);
    expect((await judged([/: device inaccessible$/])).warnings).toMatchObject(LINES.slice(1));
    expect(await judged([/: device inaccessible$/, /^foo: odd$/])).not.toHaveProperty('warnings');
  });

  test('that the test should have provoked fails it where it does not come', async () => {
    await expect(judged([/^foo: odd$/, /^bar: /])).rejects.toMatchObject({
      failureClass: 'test',
      message: 'The kernel should have said, and did not: /^bar: /',
    });
  });
});

test('a report that is still on its way when the test ends is waited for', async () => {
  const { vm, reports } = lateVm(() => Promise.resolve(void reports.push(OOPS)));
  const ending = endVm(vm, record(), { failed: false, provokes: [] }, RIG as unknown as RigContext);
  await expect(ending).rejects.toMatchObject({ failureClass: 'kernel' });
});

test('a console that stays behind fails a test that passed, but not one that provokes a lockup which was heard', async () => {
  const late = new RigError('timeout', 'The console line did not come.');
  const { vm, reports } = lateVm(() => Promise.reject(late));
  const judge = (provokes: readonly Provoked[]): Promise<void> =>
    endVm(vm, record(), { failed: false, provokes }, RIG as unknown as RigContext);
  await expect(judge([])).rejects.toBe(late);
  reports.push({ ...OOPS, kind: 'soft-lockup' });
  await judge(['soft-lockup']);
});

describe('a kernel that its test has tainted', () => {
  const [WARNING, SOFT_LOCKUP] = [2 ** 9, 2 ** 14];

  async function judged(taints: readonly string[], tainted: number, reports: readonly KernelReport[] = []) {
    const { vm } = deadVm(() => Promise.resolve(), reports, {
      state: { kind: 'ready' },
      explain: (error: unknown) => error,
      exec: (command: string) => {
        const asked = command.includes('tainted');
        return Promise.resolve({ exitCode: asked ? 0 : 1, stdout: `tainted ${String(tainted)}\n`, stderr: '' });
      },
      hearKernelOut: () => Promise.resolve(),
    });
    await endVm(vm, record(), { failed: false, provokes: [], taints }, RIG as unknown as RigContext);
  }

  test('is no worse for that, but for any other taint', async () => {
    await judged(['soft lockup'], SOFT_LOCKUP);
    await expect(judged([], SOFT_LOCKUP)).rejects.toMatchObject({
      failureClass: 'kernel',
      message: 'the kernel is tainted: soft lockup',
    });
    await expect(judged(['soft lockup'], SOFT_LOCKUP + WARNING)).rejects.toMatchObject({
      failureClass: 'kernel',
      message: 'the kernel is tainted: warning',
    });
  });

  test('and that locks up all the same, says so', async () => {
    const title = 'watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [syncobj_wait:123]';
    const lockup: KernelReport = { ...OOPS, kind: 'soft-lockup', title };
    await expect(judged(['soft lockup'], SOFT_LOCKUP, [lockup])).rejects.toMatchObject({
      failureClass: 'kernel',
      message: `The guest's kernel reported: ${title}`,
    });
  });
});

describe('what is recorded of a VM', () => {
  const recorded = async (failed: boolean): Promise<string[]> => {
    const heard: string[] = [];
    const { vm } = deadVm(() => Promise.resolve(), [], { end: () => Promise.resolve(heard.push('end')) });
    const tracing = {
      stop: () => Promise.resolve(void heard.push('stop')),
      keep: () => Promise.resolve(void heard.push('keep')),
    };
    await endVm(vm, record(), { failed, provokes: [], tracing }, RIG as unknown as RigContext);
    return heard;
  };

  test('is kept before it is ended, if its test failed', async () => {
    expect(await recorded(true)).toEqual(['stop', 'keep', 'end']);
  });

  test('is not kept of a test that passed', async () => {
    expect(await recorded(false)).toEqual(['stop', 'end']);
  });
});
