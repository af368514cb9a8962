/** Two bugs never become one because they meet in a helper; the same one, told again, does. */
import { describe, expect, test } from 'vitest';
import { distinctReports, type DistinctReport } from '../../../src/vm/kernel-log/distinct-reports.ts';
import { blameOf } from '../../../src/vm/kernel-log/helper-functions.ts';
import { findKernelReports } from './find-kernel-reports.ts';

/** Each trace in a report of its own, told by another task at another time. */
function told(title: (pid: number) => string, traces: readonly (readonly string[])[]): DistinctReport[] {
  const lines = traces.flatMap((trace, index) => {
    const frames = ['Call Trace:', ' <TASK>', ...trace.map((name) => ` ${name}+0x10/0x20`), ' </TASK>'];
    return [title(100 + index), ...frames].map(
      (text) => `[${String(10 * (index + 1))}.000000][  T${String(index)}] ${text}\n`,
    );
  });
  return distinctReports(findKernelReports(lines.join('')));
}

const hung = (pid: number): string => `INFO: task edgpu-stress:${String(pid)} blocked for more than 30 seconds.`;
const summary = (reports: readonly DistinctReport[]): string[] =>
  reports.map(({ where = 'nowhere', count }) => `${where.replace(/\+.*/, '')} ${String(count)}`);

describe('tasks that hang', () => {
  test('with the same stack are one report', () => {
    const stack = ['__schedule', 'schedule', 'dma_fence_default_wait', 'ttm_bo_wait_ctx'];
    expect(summary(told(hung, [stack, stack]))).toEqual(['ttm_bo_wait_ctx 2']);
  });

  test('in the same helper for different reasons are two', () => {
    const [wait, lock] = [
      ['schedule', 'ttm_bo_wait_ctx'],
      ['schedule', '__mutex_lock.constprop.0', 'edgpu_evict'],
    ];
    expect(summary(told(hung, [wait, lock]))).toEqual(['ttm_bo_wait_ctx 1', 'edgpu_evict 1']);
  });

  test('without a stack are told apart by who they are', () => {
    expect(summary(told(hung, [[], []]))).toEqual(['nowhere 1', 'nowhere 1']);
    expect(summary(told(() => hung(1), [[], []]))).toEqual(['nowhere 2']);
  });
});

test('two that meet in a function that no list knows are told apart by its callers', () => {
  const title = (): string => 'BUG: unable to handle page fault for address: 0000000012345678';
  const traces = [
    ['newlib_walk', 'edgpu_one', 'same_end'],
    ['newlib_walk', 'edgpu_two', 'same_end'],
    ['newlib_walk', 'edgpu_one', 'other_end'],
  ];
  expect(summary(told(title, traces))).toEqual(['newlib_walk 2', 'newlib_walk 1']);
});

describe('helpers', () => {
  test.each([
    'native_queued_spin_lock_slowpath+0x6e/0x2f0',
    '__pv_queued_spin_lock_slowpath+0x1/0x2',
    'add_dma_entry+0x473/0x5f0',
    '__dma_map_sg_attrs+0x9e/0x1d0',
    'swiotlb_tbl_map_single+0x1/0x2',
    'memcpy_orig+0x54/0x130',
    '__memset+0x1/0x2',
    'strnlen+0x1/0x2',
    'rb_insert_color+0x1/0x2',
    '_copy_from_user+0x1/0x2',
    'clear_page_erms+0x1/0x2',
    'rep_movs_alternative+0x1/0x2',
    'lock_release+0x1/0x2',
    'folio_unlock+0x1/0x2',
    'kobject_put+0x1/0x2',
    'delay_tsc+0x1/0x2',
    '__mutex_lock.constprop.0+0x1/0x2',
    'kfree.part.0+0x1/0x2',
    'test_and_clear_bit+0x1/0x2 [ttm]',
    'refcount_dec_and_test+0x1/0x2 [edgpu]',
  ])('%s is one', (symbol) => {
    expect(blameOf(symbol)).toBe(0);
  });

  test.each([
    'shmem_get_folio_gfp+0x1/0x2',
    'shmem_writeout+0x1/0x2',
    'ttm_bo_release+0x1/0x2 [ttm]',
    'ttm_resource_manager_usage+0x1/0x2 [ttm]',
    'drm_sched_rq_remove_fifo_locked+0x1/0x2 [gpu_sched]',
    'filemap_unaccount_folio+0x1/0x2',
    'edgpu_memcpy+0x1/0x2 [edgpu]',
    'memory_tier_init+0x1/0x2',
    'stress_main+0x1/0x2 [provoke]',
    'atomic_sleep+0x1/0x2 [provoke]',
  ])('%s is none', (symbol) => {
    expect(blameOf(symbol)).toBe(2);
  });

  test('what a trace comes in by is blamed only where there is nothing else', () => {
    expect(blameOf('process_one_work+0x1/0x2')).toBe(1);
    expect(blameOf('do_syscall_64+0x1/0x2')).toBe(1);
  });

  test('the path of a page fault is to blame for what it does, but not for memory that runs out', () => {
    expect(blameOf('do_anonymous_page+0x1/0x2')).toBe(2);
    expect(blameOf('do_anonymous_page+0x1/0x2', { outOfMemory: true })).toBe(0);
  });
});
