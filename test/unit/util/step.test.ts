/** How the steps of a run end. */
import { expect, test } from 'vitest';
import { allOrAbort } from '../../../src/util/all-or-abort.ts';
import type { RigEvent } from '../../../src/util/rig-event.ts';
import { orAbort } from '../../../src/util/on-abort.ts';
import { runStep } from '../../../src/util/step.ts';

test('a step that fails is told from one that is ended since another has failed', async () => {
  const ends: string[] = [];
  const emit = (event: RigEvent): void => {
    if (event.type === 'step-end') ends.push(`${event.id} ${event.outcome}`);
  };
  const failing = async (signal: AbortSignal): Promise<undefined> =>
    runStep(emit, { id: 'qemu', title: 'Build QEMU', signal }, () => Promise.reject(new Error('no such tree')));
  const endless = async (signal: AbortSignal): Promise<undefined> =>
    runStep(emit, { id: 'linux', title: 'Build Linux', signal }, () => orAbort(new Promise(() => undefined), signal));
  await expect(allOrAbort(new AbortController().signal, [failing, endless])).rejects.toThrow('no such tree');
  expect(ends).toEqual(['qemu failed', 'linux skipped']);
});
