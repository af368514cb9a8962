/** Whatever fails, all that was opened is closed, in reverse order. */
import { expect, test } from 'vitest';
import { inScope, type ClosingScope } from '../../../src/util/closing-scope.ts';

function open(scope: ClosingScope, closed: string[], names: readonly string[], broken?: string): void {
  for (const name of names) {
    scope.defer(() => {
      closed.push(name);
      if (name === broken) throw new Error(`${name} can't be closed`);
    });
  }
}

test('all is closed after the work, the last first', async () => {
  const closed: string[] = [];
  const result = await inScope((scope) => {
    open(scope, closed, ['folder', 'process', 'monitor']);
    return Promise.resolve(7);
  });
  expect([result, closed]).toEqual([7, ['monitor', 'process', 'folder']]);
});

test('one part that can not be closed keeps none of the others open, and is told', async () => {
  const closed: string[] = [];
  const working = inScope((scope) => {
    open(scope, closed, ['folder', 'process', 'monitor'], 'process');
    return Promise.resolve();
  });
  await expect(working).rejects.toThrow("process can't be closed");
  expect(closed).toEqual(['monitor', 'process', 'folder']);
});

test('the failure of the work is what is thrown', async () => {
  const closed: string[] = [];
  const working = inScope((scope) => {
    open(scope, closed, ['folder', 'process'], 'process');
    return Promise.reject(new Error('the cause'));
  });
  await expect(working).rejects.toThrow('the cause');
  expect(closed).toEqual(['process', 'folder']);
});

test('what is released stays open', async () => {
  const closed: string[] = [];
  await inScope((scope) => {
    open(scope, closed, ['folder']);
    scope.release();
    return Promise.resolve();
  });
  expect(closed).toEqual([]);
});
