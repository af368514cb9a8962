import { describe, expect, test } from 'vitest';
import { countCases, ktapCases, parseKtap, speaksKtap } from '../../../src/plan/ktap.ts';

const KUNIT = `KTAP version 1
1..1
    KTAP version 1
    # Subtest: ttm_pool
    # module: ttm_pool_test
    1..3
        KTAP version 1
        # Subtest: ttm_pool_alloc_basic
        ok 1 One page
        # ttm_pool_alloc_basic: EXPECTATION FAILED at drivers/gpu/drm/ttm/tests/ttm_pool_test.c:12
        not ok 2 More than one page, with some text 1..2
    # ttm_pool_alloc_basic: pass:1 fail:1 skip:0 total:2
    not ok 1 ttm_pool_alloc_basic
    ok 2 ttm_pool_needs_numa # SKIP one node only
    ok 3 ttm_pool_fini_basic
# ttm_pool: pass:1 fail:1 skip:1 total:3
# Totals: pass:2 fail:1 skip:1 total:4
not ok 1 ttm_pool
`;

const HARNESS = `TAP version 13
1..3
# Starting 3 tests from 1 test cases.
#  RUN           hmm.hmm_device_private.open_close ...
#            OK  hmm.hmm_device_private.open_close
ok 1 hmm.hmm_device_private.open_close
#      SKIP      no hugetlb
ok 2 hmm.hmm_device_private.anon_write_hugetlbfs # SKIP no hugetlb
not ok 3 - hmm.hmm2.migrate_mixed
# FAILED: 2 / 3 tests passed.
# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:0
`;

describe('KTAP', () => {
  test('of KUnit: suites, cases and parameters', () => {
    const { results, faults } = parseKtap(KUNIT);
    expect(faults).toEqual([]);
    expect(countCases(results)).toEqual({ pass: 2, fail: 1, skip: 1 });
    expect(ktapCases(results).map(({ status, path, remark }) => `${status} ${path} ${remark}`.trim())).toEqual([
      'pass ttm_pool › ttm_pool_alloc_basic › One page',
      'fail ttm_pool › ttm_pool_alloc_basic › More than one page, with some text 1..2',
      'skip ttm_pool › ttm_pool_needs_numa one node only',
      'pass ttm_pool › ttm_pool_fini_basic',
    ]);
  });

  test('of the self-tests: flat, TAP 13', () => {
    const { results, faults } = parseKtap(HARNESS);
    expect(faults).toEqual([]);
    expect(results.map(({ name, status }) => `${status} ${name}`)).toEqual([
      'pass hmm.hmm_device_private.open_close',
      'skip hmm.hmm_device_private.anon_write_hugetlbfs',
      'fail hmm.hmm2.migrate_mixed',
    ]);
  });

  test('that ends early, at any line, is not as planned or has no results', () => {
    for (const text of [KUNIT, HARNESS]) {
      const all = text.trimEnd().split('\n');
      const last = all.findLastIndex((line) => /^(not )?ok/.test(line));
      for (let cut = all.findIndex((line) => line.includes('1..')) + 1; cut <= last; cut++) {
        const { faults, results } = parseKtap(all.slice(0, cut).join('\n'));
        expect({ cut, faults: faults.length + Number(results.length === 0) }).not.toEqual({ cut, faults: 0 });
      }
    }
  });

  test('with too few cases in a suite says which', () => {
    expect(parseKtap('    1..2\n    ok 1 a\nok 1 suite\n').faults).toEqual(['suite: 2 results planned, 1 found']);
  });

  test('of several suites in one text', () => {
    const { results, faults } = parseKtap(KUNIT + KUNIT.replaceAll('ttm_pool', 'other'));
    expect({ faults, names: results.map(({ name }) => name) }).toEqual({ faults: [], names: ['ttm_pool', 'other'] });
  });

  test.for([
    ['two blanks a level, as the specification has it', '  '],
    ['four, as KUnit and TAP 14 have it', '    '],
    ['comments, as the runner of the self-tests makes them', '# '],
  ] as const)('nested by %s', ([, indent]) => {
    const inner = ['TAP version 13', '1..2', 'ok 1 - inner', 'not ok 2 - other'].map((line) => `${indent}${line}`);
    const { results, faults } = parseKtap(['TAP version 13', '1..1', ...inner, 'not ok 1 outer', ''].join('\n'));
    expect(faults).toEqual([]);
    expect(ktapCases(results).map(({ status, path }) => `${status} ${path}`)).toEqual([
      'pass outer › inner',
      'fail outer › other',
    ]);
  });

  test('of TAP 13: without numbers, the plan at the end, with reasons before and after', () => {
    const text = 'TAP version 13\nok - a\n# why\nnot ok b \\# 2\n  ---\n  got: 3\n  ...\nok # skip no GPU\n1..3\n';
    const { results, faults } = parseKtap(text);
    expect(faults).toEqual([]);
    expect(results).toMatchObject([
      { name: 'a', status: 'pass', said: [] },
      { name: 'b # 2', status: 'fail', said: ['why', 'got: 3'] },
      { name: 'result', status: 'skip', remark: 'no GPU' },
    ]);
  });

  test('from the log of the kernel', () => {
    const log = KUNIT.replaceAll(/^(?=.)/gm, '[   12.345678] ');
    expect(ktapCases(parseKtap(log).results)).toEqual(ktapCases(parseKtap(KUNIT).results));
  });

  test('that plans nothing says why; that bails out is at fault', () => {
    expect(parseKtap('TAP version 13\n1..0 # SKIP no device\n')).toEqual({
      ...{ results: [], faults: [], skipped: 'no device' },
    });
    expect(parseKtap('1..2\nok 1\nBail out! lost the device\n').faults).toEqual([
      'it bailed out: lost the device',
      'top level: 2 results planned, 1 found',
    ]);
  });

  test.for([
    ['a version line', 'KTAP version 1\n', true],
    ['a plan and a result', '1..1\nok 1\n', true],
    ['a result without a plan', 'ok 1 done\n', false],
    ['a range of numbers', 'testing 1..3\n1..3\n', false],
    ['a word', 'ok, that was all\nnot ok.\n1..2\n', false],
  ] as const)('is what is meant by %s: %s', ([, text, meant]) => expect(speaksKtap(text)).toBe(meant));
});
