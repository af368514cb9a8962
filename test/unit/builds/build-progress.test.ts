/** What a person reads while QEMU and Linux are compiled. */
import { expect, test } from 'vitest';
import { countdown } from '../../../src/builds/tree/build-progress.ts';

const MINUTE = 60_000;

test('says how many are done, and from when on it can how many minutes are left', () => {
  const said: string[] = [];
  let now = 0;
  const count = countdown({ progress: (detail) => said.push(detail) }, () => now);
  for (const [at, done] of [
    [0, 1],
    [MINUTE, 100],
    [8 * MINUTE, 800],
    [9.9 * MINUTE, 990],
    [10 * MINUTE, 1000],
    [11 * MINUTE, 1002],
  ] as const) {
    now = at;
    count(done, 1000);
  }
  expect(said).toEqual([
    '1 of 1000',
    '100 of 1000, 9 min left',
    '800 of 1000, 2 min left',
    '990 of 1000, less than a minute left',
    '1000 of 1000',
    '1002 of 1002',
  ]);
});
