import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';

import { allOrAbort } from '../../../src/util/all-or-abort.ts';

const NEVER = new AbortController().signal;

test('all results, each at its place', async () => {
  const results = await allOrAbort(NEVER, [
    async () => sleep(10).then(() => 'slow'),
    () => Promise.resolve(2),
    () => Promise.resolve(undefined),
  ]);
  expect(results).toEqual(['slow', 2, undefined]);
});

test('the first failure ends the others, and is thrown when they have ended', async () => {
  let ended = false;
  const patient = async (signal: AbortSignal): Promise<never> => {
    await sleep(60_000, undefined, { signal }).catch(() => undefined);
    await sleep(20);
    ended = true;
    throw new Error('a consequence');
  };
  const failing = async (): Promise<never> => sleep(5).then(() => Promise.reject(new Error('the cause')));
  await expect(allOrAbort(NEVER, [patient, failing])).rejects.toThrow('the cause');
  expect(ended).toBe(true);
});

test('an abort from outside ends all, and its reason is what is thrown', async () => {
  const abort = new AbortController();
  const task = async (signal: AbortSignal): Promise<void> =>
    sleep(60_000, undefined, { signal }).catch(() => signal.throwIfAborted());
  setTimeout(() => abort.abort(new Error('Ctrl-C')), 5);
  await expect(allOrAbort(abort.signal, [task, task])).rejects.toThrow('Ctrl-C');
});
