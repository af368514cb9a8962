/** Which events of a kernel a person's patterns mean, and what is said where there is none. */
import { expect, test } from 'vitest';
import { parseTraceEvents } from '../../../src/vm/trace/trace-events.ts';
import { parseTracePatterns, traceSettings } from '../../../src/vm/trace/trace-patterns.ts';

const EVENTS = parseTraceEvents(`drm:drm_vblank_event -
dma_fence:dma_fence_init -
vmscan:mm_vmscan_kswapd_wake -
sched:sched_switch -
gpu_scheduler:drm_sched_job_run gpu_sched
kvmmmu:kvm_mmu_get_page kvm
kvm:kvm_entry kvm
`);

test('a list of events is patterns, each once', () => {
  expect(parseTracePatterns('drm:*, vmscan:mm_vmscan_*,drm:*')).toEqual(['drm:*', 'vmscan:mm_vmscan_*']);
});

test.each(['', 'drm:*,', 'drm:a:b', "drm:*'; reboot", 'drm:* 1'])('"%s" is no list of events', (text) => {
  expect(parseTracePatterns(text)).toBeUndefined();
});

test('events of the kernel are asked for as they are, those of a module by its name, too', () => {
  expect(traceSettings(['drm:*', 'sched_switch', 'vmscan'], EVENTS)).toEqual(['drm:*', 'sched_switch', 'vmscan']);
  expect(traceSettings(['gpu_scheduler:*', 'kvm*:*'], EVENTS)).toEqual([
    'gpu_scheduler:*:mod:gpu_sched',
    'kvm*:*:mod:kvm',
  ]);
  expect(traceSettings(['*:*_switch', 'drm_*'], EVENTS)).toEqual(['*:*_switch', 'drm_*', 'drm_*:mod:gpu_sched']);
});

test.each([
  ['drm:drm_vblank', 'Did you mean drm:drm_vblank_event?'],
  ['vmscna:*', 'Did you mean vmscan:*'],
  ['qqqqqqqq:*', 'It has these: drm:*, dma_fence:*, vmscan:*, sched:*, gpu_scheduler:*, kvmmmu:*, kvm:*'],
])('%s is no event, and the error has the nearest', (pattern, remedy) => {
  expect(() => traceSettings([pattern], EVENTS)).toThrow(
    expect.objectContaining({
      failureClass: 'usage',
      message: `The guest's kernel has no trace event ${pattern}.`,
      remedy: expect.stringContaining(remedy) as string,
    }),
  );
});
