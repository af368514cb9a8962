/** What a person reads at the end of `npm test` about its time. */
import { expect, test } from 'vitest';
import { costTable } from '../../../src/report/text/cost-table.ts';

test('the longest part is first, with its VMs; short ones are one line', () => {
  const parts = [
    { name: 'test/vm/ssh.test.ts', milliseconds: 18_000 },
    { name: 'test/unit/a.test.ts', milliseconds: 400 },
    { name: 'test/unit/b.test.ts', milliseconds: 900 },
    { name: 'src/suites/swap.suite.ts', milliseconds: 294_000, vms: 8 },
    { name: 'src/suites/selftests.suite.ts', milliseconds: 58_000, vms: 1 },
  ];
  expect(
    costTable(parts, 200_000)
      .split('\n')
      .map((line) => line.trim()),
  ).toEqual([
    'What took how long, 3 min 20 s in all:',
    '4 min 54 s  src/suites/swap.suite.ts  8 VMs',
    '58.0 s  src/suites/selftests.suite.ts  1 VM',
    '18.0 s  test/vm/ssh.test.ts',
    '1.3 s  2 others',
  ]);
});
