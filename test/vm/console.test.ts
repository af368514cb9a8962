/**
 * Nothing that a guest says is lost while the rig has its hands full: a READY line or a kernel report may be among it.
 */
import { expect, test } from 'vitest';
import { bootTestVm } from './test-vm.ts';

const LINES = 400;
const TEXT = 'x'.repeat(80);

function beBusyFor(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

test('what a guest says while the rig does not listen is heard afterwards', async () => {
  const vm = await bootTestVm();
  await vm.exec(
    `(sleep 1; for i in $(seq ${String(LINES)}); do echo "<1>line $i ${TEXT}" > /dev/kmsg; done) > /dev/null 2>&1 &`,
  );
  beBusyFor(6000);
  await vm.console.waitFor(new RegExp(`line ${String(LINES)} x*$`), { signal: vm.signal, deadlineMs: 30_000 });
  const heard = vm.console.tail(Infinity).filter((line) => new RegExp(`line \\d+ ${TEXT}$`).test(line));
  expect(heard).toHaveLength(LINES);
});
