/** What a test is told of a command in the guest that failed. */
import { expect, test } from 'vitest';
import { commandFailure } from '../../../src/testbed/guest/guest.ts';

test.for([
  ['about to fail\n', 'oh no\n', 'oh no\nabout to fail'],
  ['', 'oh no\n', 'oh no'],
  ['about to fail\n', '', 'about to fail'],
  ['', '', 'it said nothing'],
] as const)('stdout %j and stderr %j are both told', ([stdout, stderr, said]) => {
  const failure = commandFailure('false', { exitCode: 7, signal: undefined, stdout, stderr, durationMs: 1 });
  expect(failure).toBe(`"false" failed in the guest with exit code 7: ${said}`);
});
