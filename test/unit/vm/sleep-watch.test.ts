/** What follows a guest through its sleep learns of the end of the VM. */
import { expect, onTestFinished, test } from 'vitest';
import { SleepWatch, type SleepingMachine } from '../../../src/vm/sleep/sleep-watch.ts';

function machine(signal: AbortSignal): SleepingMachine {
  const never = new Promise<never>(() => undefined);
  return {
    stageLimitMs: 60_000,
    signal,
    powerOffs: 0,
    run: () => never,
    eventCount: () => 0,
    nextEvent: () => never,
    onLine: () => () => undefined,
    type: () => undefined,
    wake: () => never,
    poweredOff: () => never,
    startAgain: () => never,
    ready: () => never,
    takeHangEvidence: () => never,
  };
}

test.for(['before', 'after'])('a VM that dies %s the watch begins ends it', async (when) => {
  const death = new AbortController();
  if (when === 'before') death.abort(new Error('QEMU is gone'));
  const watch = new SleepWatch(machine(death.signal), {});
  onTestFinished(() => watch.stop());
  if (when === 'after') death.abort(new Error('QEMU is gone'));
  await expect(watch.awake).rejects.toThrow('QEMU is gone');
});
