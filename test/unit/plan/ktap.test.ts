import { describe, expect, test } from 'vitest';
import { countCases, ktapCases, parseKtap } from '../../../src/plan/ktap.ts';

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
});
