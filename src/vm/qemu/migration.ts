/** A machine's state, and its memory, to a file and from a file. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { RigError } from '../../util/rig-error.ts';
import type { WaitBounds } from '../../util/bounded-wait.ts';
import { QmpRefusal, type QmpClient } from './qmp.ts';

const POLL_MS = 5;

const progress = z.object({ status: z.string().default('none'), 'error-desc': z.string().optional() });

/** Of a machine that stands still. That one of its devices can't be saved is a result: QEMU's reason. */
export async function saveState(qmp: QmpClient, file: string, bounds: WaitBounds): Promise<string | undefined> {
  await placePages(qmp, bounds);
  try {
    await qmp.execute('migrate', { uri: `file:${file}` }, bounds);
  } catch (error) {
    // Had it begun, it would have failed: for want of disk space, say, which there may be the next time.
    if (error instanceof QmpRefusal && (await progressOf(qmp, bounds)).status === 'none') return error.message;
    throw error;
  }
  await untilCompleted(qmp, bounds);
  return undefined;
}

/** Into a QEMU that was started to wait for it; the machine then stands still as the saved one did. */
export async function awaitState(qmp: QmpClient, file: string, bounds: WaitBounds): Promise<void> {
  await placePages(qmp, bounds);
  await qmp.execute('migrate-incoming', { uri: `file:${file}` }, bounds);
  await untilCompleted(qmp, bounds);
}

/** Each page has its own place in the file, from where QEMU reads it to where it belongs; empty ones are holes. */
async function placePages(qmp: QmpClient, bounds: WaitBounds): Promise<void> {
  const capabilities = [{ capability: 'mapped-ram', state: true }];
  await qmp.execute('migrate-set-capabilities', { capabilities }, bounds);
}

async function progressOf(qmp: QmpClient, bounds: WaitBounds): Promise<z.infer<typeof progress>> {
  return progress.parse(await qmp.execute('query-migrate', {}, bounds));
}

async function untilCompleted(qmp: QmpClient, bounds: WaitBounds): Promise<void> {
  const deadline = performance.now() + bounds.deadlineMs;
  for (;;) {
    const { status, 'error-desc': why = 'no reason given' } = await progressOf(qmp, bounds);
    if (status === 'completed') return;
    if (status === 'failed') throw new RigError('infrastructure', `QEMU could not move the machine's state: ${why}`);
    if (performance.now() > deadline) throw new RigError('timeout', `QEMU still moves the machine's state: ${status}`);
    await sleep(POLL_MS, undefined, { signal: bounds.signal });
  }
}
