/** A machine's state to a file, and from a file: all but its memory, which is in files of its own already. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { RigError } from '../../util/rig-error.ts';
import type { WaitBounds } from '../../util/bounded-wait.ts';
import type { QmpClient } from './qmp.ts';

const POLL_MS = 5;

const progress = z.object({ status: z.string().default('none'), 'error-desc': z.string().optional() });

/** Of a machine that stands still. */
export async function saveState(qmp: QmpClient, file: string, bounds: WaitBounds): Promise<void> {
  await leaveMemoryOut(qmp, bounds);
  await qmp.execute('migrate', { uri: `file:${file}` }, bounds);
  await untilCompleted(qmp, bounds);
}

/** Into a QEMU that was started to wait for it; the machine then stands still as the saved one did. */
export async function awaitState(qmp: QmpClient, file: string, bounds: WaitBounds): Promise<void> {
  await leaveMemoryOut(qmp, bounds);
  await qmp.execute('migrate-incoming', { uri: `file:${file}` }, bounds);
  await untilCompleted(qmp, bounds);
}

async function leaveMemoryOut(qmp: QmpClient, bounds: WaitBounds): Promise<void> {
  const capabilities = [{ capability: 'x-ignore-shared', state: true }];
  await qmp.execute('migrate-set-capabilities', { capabilities }, bounds);
}

async function untilCompleted(qmp: QmpClient, bounds: WaitBounds): Promise<void> {
  const deadline = performance.now() + bounds.deadlineMs;
  for (;;) {
    const { status, 'error-desc': why = 'no reason given' } = progress.parse(
      await qmp.execute('query-migrate', {}, bounds),
    );
    if (status === 'completed') return;
    if (status === 'failed') throw new RigError('infrastructure', `QEMU could not move the machine's state: ${why}`);
    if (performance.now() > deadline) throw new RigError('timeout', `QEMU still moves the machine's state: ${status}`);
    await sleep(POLL_MS, undefined, { signal: bounds.signal });
  }
}
