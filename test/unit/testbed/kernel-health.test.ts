import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { healthComplaints, taints, taintsLeftBy } from '../../../src/testbed/guest/kernel-health.ts';

const leak = (functions: readonly string[]): string =>
  [
    'unreferenced object 0xff11000002a4bcc0 (size 64):',
    '  comm "modprobe", pid 190, jiffies 4294903107',
    '  hex dump (first 32 bytes):',
    '    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................',
    '  backtrace (crc 5d1e1a1):',
    ...functions.map((name) => `    ${name}+0x10/0x20`),
    '',
  ].join('\n');
const LEAK = leak(['__kmalloc_noprof', 'kmemleak_test_init', 'do_one_initcall']);
const OTHER = leak(['__list_lru_init', 'alloc_super', 'sget_fc']);
const UPSTREAMS = leak(['__kmalloc_noprof', '__list_lru_init', 'ttm_pool_mgr_init', 'ttm_global_init']);

// What is known is excused up to a day.
beforeAll(() => void vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-12-01') }));
afterAll(() => void vi.useRealTimers());

test('taint flags are named by their bits', () => {
  expect(taints(0)).toEqual([]);
  expect(taints(2 ** 9 + 2 ** 12)).toEqual(['warning', 'out-of-tree module']);
});

test('a healthy kernel gets no complaint: not where it has no lock validator, nor after an in-kernel test', () => {
  expect(healthComplaints('tainted 0\n')).toEqual([]);
  expect(healthComplaints(`tainted ${String(2 ** 18)}\n debug_locks:                             1\n`)).toEqual([]);
  // By a module of one's own.
  expect(healthComplaints(`tainted ${String(2 ** 12 + 2 ** 13)}\n`)).toEqual([]);
});

test('taint, a lock validator that has given up, and leaks are each told', () => {
  const text = `tainted 512\n debug_locks:                             0\n${LEAK}${OTHER}`;
  expect(healthComplaints(text)).toEqual([
    'the kernel is tainted: warning',
    'the lock validator has turned itself off, and said nothing',
    `kmemleak suspects 2 leaks:\n${LEAK}${OTHER}`,
  ]);
});

test('a kernel that was made to warn may be tainted by that, and is to be healthy otherwise', () => {
  expect(taintsLeftBy([])).toEqual([]);
  expect(taintsLeftBy(['oom', 'warning'])).toEqual(['warning']);
  const text = `tainted ${String(2 ** 9 + 2 ** 5)}\n debug_locks:                             0\n${LEAK}`;
  expect(healthComplaints(text, ['warning'])).toEqual([
    'the kernel is tainted: bad page',
    'the lock validator has turned itself off, and said nothing',
    `kmemleak suspects 1 leaks:\n${LEAK}`,
  ]);
});

test('one that has crashed, or found its locks in disorder, is not asked for more', () => {
  expect(taintsLeftBy(['oops'])).toBeUndefined();
  expect(taintsLeftBy(['warning', 'lockdep'])).toBeUndefined();
});

test("leaks of upstream's test helpers are known by both functions, too", () => {
  const destroyed = leak(['__kvmalloc_node_noprof', 'ttm_tt_init', 'ttm_tt_simple_create', 'ttm_tt_create']);
  const manager = leak(['__kmalloc_cache_noprof', 'ttm_mock_manager_init', 'ttm_sleep_test_init']);
  expect(healthComplaints(`tainted 0\n${destroyed}${manager}`)).toEqual([]);
  expect(healthComplaints(`tainted 0\n${destroyed.replace('ttm_tt_simple_create', 'edgpu_tt_create')}`)).toHaveLength(
    1,
  );
  expect(healthComplaints(`tainted 0\n${manager.replace('ttm_mock_manager_init', 'ttm_tt_init')}`)).toHaveLength(1);
});

test("upstream's own leak is known by the two functions that it takes, and by nothing less", () => {
  const health = (leak: string): string[] => healthComplaints(`tainted 0\n${leak}`);
  expect(health(UPSTREAMS)).toEqual([]);
  expect(health(UPSTREAMS + LEAK)).toEqual([`kmemleak suspects 1 leaks:\n${LEAK}`]);
  expect(health(UPSTREAMS.replace('ttm_pool_mgr_init', 'edgpu_init'))).toHaveLength(1);
  expect(health(UPSTREAMS.replace('__list_lru_init', 'something_else'))).toHaveLength(1);
});

test("a file of a GEM object that a case of upstream's forgets is known, and one set of credentials with it", () => {
  const file = leak(['alloc_empty_file', 'drm_gem_object_init', 'ttm_bo_kunit_init', 'ttm_tt_kunit_init']);
  const upstreams = file.replace('ttm_tt_kunit_init+0x10/0x20', 'ttm_tt_kunit_init+0x10/0x20 [ttm_pool_test]');
  const credentials = leak(['kmem_cache_alloc_noprof', 'prepare_creds', 'copy_creds', 'copy_process']);
  expect(upstreams).not.toBe(file);
  expect(healthComplaints(`tainted 0\n${upstreams}${credentials}`)).toEqual([]);
  expect(healthComplaints(`tainted 0\n${file}`)).toHaveLength(1);
  expect(healthComplaints(`tainted 0\n${upstreams}${credentials}${credentials}`)).toEqual([
    `kmemleak suspects 1 leaks:\n${credentials}`,
  ]);
});

test('what is known is told again after its last day', () => {
  const text = `tainted 0\n${UPSTREAMS}`;
  expect(healthComplaints(text)).toEqual([]);
  vi.setSystemTime(new Date('2031-01-01'));
  expect(healthComplaints(text)).toEqual([`kmemleak suspects 1 leaks:\n${UPSTREAMS}`]);
  vi.setSystemTime(new Date('2026-12-01'));
});
