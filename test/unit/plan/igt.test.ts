/** What IGT's programs print becomes results, and results verdicts by lists in the form of drm-ci. */
import { describe, expect, test } from 'vitest';
import {
  failuresCsv,
  igtExpectations,
  igtResults,
  isSkipped,
  judgedIgt,
  parseExpectations,
} from '../../../src/plan/igt.ts';

const OUTPUT = `IGT-Version: 2.5 (x86_64) (Linux: 7.3.4 x86_64)
Starting subtest: one
Subtest one: SUCCESS (0.000s)
Starting subtest: two
(kms_x:123) CRITICAL: Test assertion failure function two, file ../tests/kms_x.c:12:
Subtest two failed.
Subtest two: FAIL (0.003s)
Starting subtest: three
Test requirement not met in function three: has_it
Subtest three: SKIP (0.000s)
Starting subtest: four
Starting dynamic subtest: pipe-A
Dynamic subtest pipe-A: FAIL (0.1s)
Subtest four: FAIL (0.1s)
`;

function statuses(results: ReturnType<typeof igtResults>): string[] {
  return results.map(({ name, status }) => `${name},${status}`);
}

describe('a program', () => {
  test('has a result for each of its parts, with what that printed', () => {
    const results = igtResults('kms_x', { exitCode: 98, output: OUTPUT });
    expect(statuses(results)).toEqual(['kms_x@one,Pass', 'kms_x@two,Fail', 'kms_x@three,Skip', 'kms_x@four,Fail']);
    expect(results[1]?.said).toEqual([expect.stringContaining('CRITICAL'), 'Subtest two failed.']);
    expect(results[3]?.said).toContain('Dynamic subtest pipe-A: FAIL (0.1s)');
    expect(failuresCsv(results)).toBe('kms_x@two,Fail\nkms_x@four,Fail\n');
  });

  test.each([
    [0, 'Pass'],
    [77, 'Skip'],
    [98, 'Fail'],
    [139, 'Crash'],
    [null, 'Crash'],
  ] as const)('without parts is one result by its exit code: %s is %s', (exitCode, status) => {
    expect(statuses(igtResults('core_x', { exitCode, output: 'IGT-Version: 2.5\n' }))).toEqual([`core_x,${status}`]);
  });

  test.each([
    [{ exitCode: 139 }, 'Crash'],
    [{ exitCode: 0 }, 'Crash'],
    [{ exitCode: 143, timedOut: true }, 'Timeout'],
  ])('that ends within a part (%o): that part did not pass', (end, status) => {
    const output = 'Starting subtest: one\nSubtest one: SUCCESS (0.1s)\nStarting subtest: two\n';
    expect(statuses(igtResults('x', { ...end, output }))).toEqual(['x@one,Pass', `x@two,${status}`]);
  });
});

describe('what is expected', () => {
  const expectations = parseExpectations({
    fails: ['# a comment', 'x@bad,Fail', 'x@dies,Crash', 'x@better,Fail', ''],
    flakes: ['x@flaky.*'],
    skips: ['y@.*', 'z'],
  });
  const judged = (name: string, status: 'Pass' | 'Fail' | 'Crash' | 'Skip'): string | undefined =>
    judgedIgt([{ name, status, said: [] }], expectations)[0]?.status;

  test('what fails as it is known to is no failure; what passes though it is known to fail is one', () => {
    expect(judged('x@bad', 'Fail')).toBe('xfail');
    expect(judged('x@dies', 'Crash')).toBe('xfail');
    expect(judged('x@bad', 'Crash')).toBe('fail');
    expect(judged('x@better', 'Pass')).toBe('fail');
    expect(judged('x@new', 'Fail')).toBe('fail');
    expect(judged('x@new', 'Pass')).toBe('pass');
    expect(judged('x@new', 'Skip')).toBe('skip');
  });

  test('what fails at times may do either', () => {
    expect(judged('x@flaky-1', 'Fail')).toBe('xfail');
    expect(judged('x@flaky-1', 'Pass')).toBe('pass');
  });

  test('a skip is a pattern for a whole name', () => {
    const names = ['y@a', 'z', 'zz', 'x@y@a'];
    expect(names.filter((name) => isSkipped(name, expectations))).toEqual(['y@a', 'z']);
  });

  test.each(['edgpu', 'qxl', 'bochs', 'virtio_gpu'])('of %s can be read', async (driver) => {
    await expect(igtExpectations(driver)).resolves.toHaveProperty('fails');
  });
});
