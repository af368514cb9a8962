/**
 * The kernel's own unit tests of what the series touches: upstream's must pass as they do without it, and those that the series
 * brings must pass. Loading a module runs its suites.
 */
import { describe, expect } from 'vitest';
import { test } from '../suite/fixtures.ts';
import type { Guest } from '../suite/guest.ts';
import { countCases, ktapCases, parseKtap } from '../suite/ktap.ts';
import type { TestRecord } from '../suite/rig-context.ts';

/** In upstream's order: the tests of the pool need the globals that the last test of the device leaves behind. */
const TTM = ['device', 'pool', 'resource', 'tt', 'tt_shmem', 'sleep', 'bo', 'bo_validate', 'lru', 'shrinker'].map(
  (name) => `ttm_${name}_test`,
);

const OTHERS = [
  'shmem_folio_ops_kunit',
  'shmem_limit_kunit',
  'drm_mm_test',
  'drm_exec_test',
  'drm_gem_shmem_test',
  'drm_managed_test',
  'gpu_buddy_tests',
  'dmabuf_kunit',
];

/** Two of TTM's cases do what a driver must not do, and so each provokes the warning that says so. */
const TTM_WARNINGS = [
  { at: 'ttm_device_init', case: 'ttm_device_init_no_vma_man' },
  { at: 'ttm_bo_reserve_no_wait_ticket', case: 'ttm_bo_reserve_no_wait_ticket' },
];

const DEADLINE_MS = 300_000;

async function runModules(modules: readonly string[], guest: Guest, record: TestRecord): Promise<void> {
  for (const module of modules) await guest.run(`modprobe ${module}`, { deadlineMs: DEADLINE_MS });
  const { results, faults } = parseKtap(await guest.run('cat /sys/kernel/debug/kunit/*/results'));
  const counts = countCases(results);
  Object.assign(record.metrics, { suites: results.length, ...counts });
  expect(faults).toEqual([]);
  expect(ktapCases(results).flatMap(({ status, path }) => (status === 'fail' ? [path] : []))).toEqual([]);
  for (const suite of results)
    expect(countCases([suite]).pass, `cases of ${suite.name} that passed`).toBeGreaterThan(0);
  expect(results.length, 'suites').toBeGreaterThanOrEqual(modules.length);
}

describe('KUnit', { concurrent: true }, () => {
  describe('provoking two warnings', { concurrent: true }, () => {
    test.override({ provokes: ['warning'] });

    test('drm/ttm', async ({ vm, guest, record }) => {
      await runModules(TTM, guest, record);
      // TTM also notes what a case asks of it that can't be had: no bug, whoever asks.
      const bugs = vm.kernelReports.filter(({ severity }) => severity === 'bug');
      const found = bugs.map(({ title, lines }) => {
        const expected = TTM_WARNINGS.find(({ at }) => title.includes(` at ${at}+`));
        return expected && lines.some((line) => line.includes(`${expected.case}+`)) ? expected.at : title;
      });
      expect(found.sort()).toEqual(TTM_WARNINGS.map(({ at }) => at).sort());
    });
  });

  test.for(OTHERS)('%s', async (module, { guest, record }) => {
    await runModules([module], guest, record);
  });
});
