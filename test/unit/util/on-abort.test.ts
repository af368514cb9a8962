/** An abort is heard whenever it comes, once, and not by who has stopped listening. */
import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { onAbort, orAbort } from '../../../src/util/on-abort.ts';
import { boundedWait } from '../../../src/util/bounded-wait.ts';

describe('onAbort', () => {
  test.for(['before', 'after'])('hears an abort that comes %s it listens', (when) => {
    const abort = new AbortController();
    const heard: Error[] = [];
    if (when === 'before') abort.abort(new Error('Ctrl-C'));
    onAbort(abort.signal, (reason) => heard.push(reason));
    if (when === 'after') abort.abort(new Error('Ctrl-C'));
    abort.abort(new Error('again'));
    expect(heard.map(({ message }) => message)).toEqual(['Ctrl-C']);
  });

  test('a reason that is no error becomes one', () => {
    onAbort(AbortSignal.abort('enough'), (reason) => expect(reason).toEqual(new Error('enough')));
    expect.assertions(1);
  });

  test('hears nothing after it was stopped, and leaves no listener', () => {
    const abort = new AbortController();
    const stop = onAbort(abort.signal, () => expect.unreachable());
    stop();
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
    abort.abort();
  });
});

describe.for([
  ['orAbort', orAbort],
  [
    'boundedWait',
    (promise: Promise<unknown>, signal: AbortSignal) => boundedWait('It', promise, { signal, deadlineMs: 60_000 }),
  ],
] as const)('%s', ([, wait]) => {
  const never = new Promise(() => undefined);

  test('ends with the promise or the abort, and leaves no listener', async () => {
    const abort = new AbortController();
    expect(await wait(Promise.resolve(7), abort.signal)).toBe(7);
    await expect(wait(Promise.reject(new Error('broken')), abort.signal)).rejects.toThrow('broken');
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
    const waiting = wait(never, abort.signal);
    abort.abort(new Error('Ctrl-C'));
    await expect(waiting).rejects.toThrow('Ctrl-C');
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
  });

  test('an abort from before wins over a promise that is ready', async () => {
    await expect(wait(Promise.resolve(7), AbortSignal.abort(new Error('Ctrl-C')))).rejects.toThrow('Ctrl-C');
  });
});
