import { expect, test } from 'vitest';
import { healthComplaints, taints } from '../../../src/suite/kernel-health.ts';

test('taint flags are named by their bits', () => {
  expect(taints(0)).toEqual([]);
  expect(taints(2 ** 9 + 2 ** 12)).toEqual(['warning', 'out-of-tree module']);
});

test('a healthy kernel gets no complaint: not where it has no lock validator, nor after an in-kernel test', () => {
  expect(healthComplaints('tainted 0\n')).toEqual([]);
  expect(
    healthComplaints(`tainted ${String(2 ** 18)}\n debug_locks:                             1\nleaks 0\n`),
  ).toEqual([]);
});

test('taint, a lock validator that has given up, and leaks are each told', () => {
  const text = `tainted 512\n debug_locks:                             0\nleaks 2\nunreferenced object 0xffff (size 8):\n`;
  expect(healthComplaints(text)).toEqual([
    'the kernel is tainted: warning',
    'the lock validator has turned itself off, and said nothing',
    'kmemleak suspects 2 leaks:\nunreferenced object 0xffff (size 8):\n',
  ]);
});
