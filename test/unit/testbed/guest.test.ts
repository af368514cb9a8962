/** What a test is told of a command in the guest that failed, and when a program in the background counts as begun. */
import { describe, expect, test } from 'vitest';
import { commandFailure, type Guest } from '../../../src/testbed/guest/guest.ts';
import { guestOfHostShell } from './host-shell.ts';

test.for([
  ['about to fail\n', 'oh no\n', 'oh no\nabout to fail'],
  ['', 'oh no\n', 'oh no'],
  ['about to fail\n', '', 'about to fail'],
  ['', '', 'it said nothing'],
] as const)('stdout %j and stderr %j are both told', ([stdout, stderr, said]) => {
  const failure = commandFailure('false', { exitCode: 7, signal: undefined, stdout, stderr, durationMs: 1 });
  expect(failure).toBe(`"false" failed in the guest with exit code 7: ${said}`);
});

describe('a program in the background', () => {
  /** Its `grep` says for the first time what was true a moment ago. */
  const guestWithLateGrep = (): Promise<Guest> =>
    guestOfHostShell({ grep: '[ -e "$0.asked" ] && exec /bin/grep "$@"\ntouch "$0.asked"\nsleep 0.3\nexit 1\n' });

  test('that says its word and ends between two looks has begun', async () => {
    const guest = await guestWithLateGrep();
    await guest.runInBackground('echo begun', { until: 'begun' });
  });

  test('that ends without its word has not, and what it said is told', async () => {
    const guest = await guestWithLateGrep();
    await expect(guest.runInBackground('echo no such device', { until: 'begun' })).rejects.toThrow('no such device');
  });
});
