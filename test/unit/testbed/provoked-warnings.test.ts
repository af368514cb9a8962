import { describe, expect, test } from 'vitest';

import {
  bugsExpected,
  bugsFound,
  kindsOf,
  type ProvokedWarning,
} from '../../../src/testbed/witnesses/provoked-warnings.ts';
import type { KernelReport } from '../../../src/vm/kernel-log/kernel-report.ts';

const EXPECTED: readonly ProvokedWarning[] = [
  { kind: 'warning', says: ' at frobnicate+', case: 'a_case' },
  { kind: 'lockdep', says: 'possible recursive locking', case: 'another_case' },
];

function report(kind: KernelReport['kind'], title: string, culprit: string): KernelReport {
  return { kind, severity: 'bug', title, lines: [title, `  ${culprit}+0x1/0x2 [test]`], fatal: false };
}

const warning = report('warning', 'WARNING: a.c:1 at frobnicate+0x3/0x4, CPU#1: kunit_try_catch/93', 'a_case');
const lock = report('lockdep', 'WARNING: possible recursive locking detected', 'another_case');

describe('warnings that a case provokes', () => {
  test('are those that are expected, in any order', () => {
    expect(bugsFound([lock, warning], EXPECTED)).toEqual(bugsExpected(EXPECTED));
    expect(kindsOf([...EXPECTED, ...EXPECTED])).toEqual(['warning', 'lockdep']);
  });

  test.each([
    ['one is missing', [warning]],
    ['one comes twice', [warning, warning, lock]],
    ['one is of another kind', [{ ...warning, kind: 'dma-debug' as const }, lock]],
    ['another case is to blame', [report('warning', warning.title, 'some_case'), lock]],
    ['there is another', [warning, lock, report('kasan', 'KASAN: use-after-free', 'a_case')]],
  ])('%s', (_, reports) => {
    expect(bugsFound(reports, EXPECTED)).not.toEqual(bugsExpected(EXPECTED));
  });

  test('what is no bug plays no part', () => {
    const noted: KernelReport = { ...warning, severity: 'note' };
    expect(bugsFound([noted, warning, lock], EXPECTED)).toEqual(bugsExpected(EXPECTED));
  });
});
