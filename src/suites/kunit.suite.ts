/**
 * The kernel's own unit tests of what the series touches: upstream's say, case by case, what they say without it, and
 * those that the series brings pass. Loading a module runs its suites.
 */
import { describe, expect, inject } from 'vitest';
import { test } from '../testbed/fixtures.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { makeMovable, memoryBlocks } from '../testbed/guest/memory-blocks.ts';
import { caseVerdicts, countCases, parseKtap, type CaseVerdicts } from '../plan/ktap.ts';
import { bugsExpected, bugsFound, kindsOf, type ProvokedWarning } from '../testbed/witnesses/provoked-warnings.ts';
import type { TestRecord } from '../plan/rig-context.ts';
import { upstreamVerdicts, verdictChanges } from '../plan/upstream-verdicts.ts';

/** In upstream's order: the tests of the pool need the globals that the last test of the device leaves behind. */
const TTM = ['device', 'pool', 'resource', 'tt', 'bo', 'bo_validate'].map((name) => `ttm_${name}_test`);

const TTM_OF_SERIES = ['tt_shmem', 'tt_borrowed', 'sleep', 'lru', 'shrinker', 'memcg'].map(
  (name) => `ttm_${name}_test`,
);

const OF_SERIES = ['shmem_folio_ops_kunit', 'shmem_limit_kunit', 'unevictable_kunit'];

const UPSTREAM = ['drm_mm_test', 'drm_exec_test', 'drm_managed_test', 'gpu_buddy_tests', 'dmabuf_kunit'];

const lockdep = inject('rig').selection.flavour === 'lockdep';

/** Two of TTM's cases do what a driver must not do, and so each provokes the warning that says so. */
const TTM_WARNINGS: readonly ProvokedWarning[] = [
  { kind: 'warning', says: ' at ttm_device_init+', case: 'ttm_device_init_no_vma_man' },
  { kind: 'warning', says: ' at ttm_bo_reserve_no_wait_ticket+', case: 'ttm_bo_reserve_no_wait_ticket' },
];

/**
 * One stages a deadlock with mutex_lock() of a reservation within an acquire context, which the lock validator has come
 * to count as a lock of the same class. It turns itself off then, so what the series brings is tested in another VM.
 */
const TTM_DEADLOCK: ProvokedWarning = {
  kind: 'lockdep',
  says: 'possible recursive locking detected',
  case: 'ttm_bo_reserve_deadlock',
};

const ttmWarnings = lockdep ? [...TTM_WARNINGS, TTM_DEADLOCK] : TTM_WARNINGS;

/**
 * A case maps 1 MiB in one segment for a mock device that claims to take 64 KiB of it; with DMA-API debugging the
 * kernel says so.
 */
const SEGMENT_WARNING: ProvokedWarning = {
  kind: 'dma-debug',
  says: ' at debug_dma_map_sg+',
  case: 'drm_gem_shmem_test_obj_create_private',
};

const gemWarnings = lockdep ? [SEGMENT_WARNING] : [];

const DEADLINE_MS = 300_000;

interface Run {
  readonly guest: Guest;
  readonly record: TestRecord;
}

async function runModules(modules: readonly string[], { guest, record }: Run): Promise<CaseVerdicts> {
  for (const module of modules) await guest.run(`modprobe ${module}`, { deadlineMs: DEADLINE_MS });
  const { results, faults } = parseKtap(await guest.run('cat /sys/kernel/debug/kunit/*/results'));
  const counts = countCases(results);
  Object.assign(record.metrics, { suites: results.length, ...counts });
  record.cases = caseVerdicts(results);
  expect(faults).toEqual([]);
  for (const suite of results)
    expect(countCases([suite]).pass, `cases of ${suite.name} that passed`).toBeGreaterThan(0);
  expect(results.length, 'suites').toBeGreaterThanOrEqual(modules.length);
  return record.cases;
}

test.override({ stateless: true });

describe('KUnit', { concurrent: true }, () => {
  describe('provoking warnings', { concurrent: true }, () => {
    test.override({ provokes: kindsOf(ttmWarnings) });

    test('drm/ttm', async ({ vm, guest, unpatched, record }) => {
      const cases = await runModules(TTM, { guest, record });
      if (!unpatched) expect(verdictChanges(await upstreamVerdicts('drm/ttm'), cases)).toEqual([]);
      await vm.hearKernelOut();
      expect(bugsFound(vm.kernelReports, ttmWarnings)).toEqual(bugsExpected(ttmWarnings));
    });
  });

  describe('provoking one with DMA-API debugging', { concurrent: true }, () => {
    test.override({ provokes: kindsOf(gemWarnings) });

    test('drm_gem_shmem_test', async ({ vm, guest, unpatched, record }) => {
      const cases = await runModules(['drm_gem_shmem_test'], { guest, record });
      if (!unpatched) expect(verdictChanges(await upstreamVerdicts('drm_gem_shmem_test'), cases)).toEqual([]);
      await vm.hearKernelOut();
      expect(bugsFound(vm.kernelReports, gemWarnings)).toEqual(bugsExpected(gemWarnings));
    });
  });

  describe('provoking errors of TTM', { concurrent: true }, () => {
    test.override({ provokes: ['ttm-bug'] });

    test('drm/ttm, with the series', async ({ vm, guest, unpatched, record, skip }) => {
      skip(unpatched, 'this kernel does not have it');
      expect(verdictChanges({}, await runModules(TTM_OF_SERIES, { guest, record }))).toEqual([]);
      await vm.hearKernelOut();
      const bugs = vm.kernelReports.filter(({ severity }) => severity === 'bug').map(({ title }) => title);
      // Of shmem's and of borrowed pages, for a device whose limit shrinks when they are there: both are refused.
      const refused = expect.stringMatching(/^\[TTM\] Page at \S+ is out of reach, the limit is 0xfff$/) as string;
      // A page, and a huge folio, that can't be made write-back again: nobody else may have them.
      const leaked = [1, 512].map((pages) => `[TTM] Leaking ${pages} pages that can't be made write-back again`);
      expect(bugs).toEqual([refused, ...leaked, refused]);
    });
  });

  test.for(UPSTREAM)('%s', async (module, { guest, unpatched, record }) => {
    const cases = await runModules([module], { guest, record });
    if (!unpatched) expect(verdictChanges(await upstreamVerdicts(module), cases)).toEqual([]);
  });

  test.for(OF_SERIES)('%s', async (module, { guest, unpatched, record, skip }) => {
    skip(unpatched, 'this kernel does not have it');
    expect(verdictChanges({}, await runModules([module], { guest, record }))).toEqual([]);
  });

  describe('with RAM of one node on both sides of every limit', { concurrent: true }, () => {
    test.override({ machine: 'straddle', dmaBits: 40 });

    test('shmem_limit_kunit', async ({ guest, unpatched, record, skip }) => {
      skip(unpatched, 'this kernel does not have it');
      expect(verdictChanges({}, await runModules(['shmem_limit_kunit'], { guest, record }))).toEqual([]);
    });

    test('shmem_limit_kunit, where what lies above is ZONE_MOVABLE', async ({ guest, unpatched, record, skip }) => {
      skip(unpatched, 'this kernel does not have it');
      const above = (await memoryBlocks(guest)).filter(({ address }) => address >= 2 ** 40);
      await makeMovable(guest, above);
      expect(verdictChanges({}, await runModules(['shmem_limit_kunit'], { guest, record }))).toEqual([]);
      expect(record.cases).toMatchObject({
        'shmem_limit › movable_file_has_lower_zones': 'pass',
        'shmem_limit › others_move_up_to_where_they_may_be': 'pass',
      });
    });
  });
});
