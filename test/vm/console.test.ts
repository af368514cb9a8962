/**
 * Nothing that a guest says is lost while the rig has its hands full: a READY line or a kernel report may be among it.
 * Nor is a test judged before the rig has read what its guest's kernel said last.
 */
import { expect, inject, test } from 'vitest';
import type { TestRecord } from '../../src/plan/rig-context.ts';
import { endVm } from '../../src/testbed/life/vm-verdict.ts';
import { bootTestVm } from './test-vm.ts';

const LINES = 400;
const TEXT = 'x'.repeat(80);
const BUG = '<3>Read-error on swap-device (254:0:64)';

function beBusyFor(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

test('what a guest says while the rig does not listen is heard afterwards, and before it is judged', async () => {
  const vm = await bootTestVm();
  await vm.exec(
    `(sleep 1; for i in $(seq ${String(LINES)}); do echo "<1>line $i ${TEXT}" > /dev/kmsg; done) > /dev/null 2>&1 &`,
  );
  beBusyFor(6000);
  await vm.console.waitFor(new RegExp(`line ${String(LINES)} x*$`), { signal: vm.signal, deadlineMs: 30_000 });
  const heard = vm.console.tail(Infinity).filter((line) => new RegExp(`line \\d+ ${TEXT}$`).test(line));
  expect(heard).toHaveLength(LINES);

  const { consolePort } = vm.folder;
  consolePort.pause();
  await vm.exec(`echo '${BUG}' > /dev/kmsg`);
  expect(vm.kernelReports).toEqual([]);
  const record: TestRecord = { params: {}, metrics: {}, kernelReports: [] };
  const ending = endVm(vm, record, { failed: false, provokes: [] }, inject('rig'));
  // Long enough for a verdict that does not wait, which takes no time at all.
  const slowConsole = setTimeout(() => consolePort.resume(), 1000);
  await expect(ending.finally(() => clearTimeout(slowConsole))).rejects.toMatchObject({
    failureClass: 'kernel',
    message: expect.stringContaining('Read-error on swap-device') as string,
  });
});
