import { describe, expect, test } from 'vitest';
import { judgeExpectation } from '../../../src/report/judge/expected-failure.ts';

const TODAY = new Date('2026-11-21T12:00:00Z');
const XFAIL = { reason: 'swap-in ignores the limit', until: '2026-11-21' };
const PASSED = { failure: undefined, status: 'pass', message: '' } as const;
const FAILED = { failure: 'test', status: 'fail', message: 'wrong content' } as const;

describe('a test that is expected to fail', () => {
  test('fails: that is what was expected, up to and including its last day', () => {
    const judged = judgeExpectation(FAILED, XFAIL, TODAY);
    expect(judged).toMatchObject({ failure: undefined, status: 'xfail' });
    expect(judged.message).toContain('swap-in ignores the limit');
  });

  test('passes: that is a failure, or nobody would ever learn of it', () => {
    expect(judgeExpectation(PASSED, XFAIL, TODAY)).toMatchObject({ failure: 'test', status: 'fail' });
  });

  test('fails after its day: the excuse has expired', () => {
    const judged = judgeExpectation(FAILED, { ...XFAIL, until: '2026-11-20' }, TODAY);
    expect(judged).toMatchObject({ failure: 'test', status: 'fail' });
    expect(judged.message).toContain('only until 2026-11-20');
  });

  test('by a kernel bug is excused, by the rig or a time-out never', () => {
    expect(judgeExpectation({ ...FAILED, failure: 'kernel' }, XFAIL, TODAY).status).toBe('xfail');
    for (const failure of ['infrastructure', 'timeout', 'usage'] as const) {
      const raw = { failure, status: 'error', message: '' } as const;
      expect(judgeExpectation(raw, XFAIL, TODAY)).toBe(raw);
    }
  });

  test('is not excused by something that is no date', () => {
    expect(judgeExpectation(FAILED, { ...XFAIL, until: 'some day' }, TODAY).status).toBe('fail');
  });
});

test('without an expectation nothing changes', () => {
  expect(judgeExpectation(FAILED, undefined, TODAY)).toBe(FAILED);
});
