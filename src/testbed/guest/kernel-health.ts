/** What a kernel that has reported nothing may still have to hide: taint, a lock validator that has given up, leaks. */
import { holds, type Excuse } from '../../util/expiry.ts';
import type { KernelReportKind } from '../../vm/kernel-log/kernel-report-kinds.ts';
import type { Guest } from './guest.ts';

/** Flags of /proc/sys/kernel/tainted, by bit, as Documentation/admin-guide/tainted-kernels.rst has them. */
const TAINTS = [
  'proprietary module',
  'module loaded by force',
  'CPU out of specification',
  'module unloaded by force',
  'machine check',
  'bad page',
  'user request',
  'oops or BUG',
  'ACPI table overridden',
  'warning',
  'staging driver',
  'firmware workaround',
  'out-of-tree module',
  'unsigned module',
  'soft lockup',
  'live patch',
  'auxiliary taint',
  'randomized structures',
  'test module',
  'unusable memory by firmware',
] as const;

/**
 * An in-kernel test has run, which is what suites do; QEMU's firmware is what it is; benches switch CPU features off;
 * and a person's program may load a module that was built elsewhere.
 */
const HARMLESS: readonly string[] = [
  ...['test module', 'firmware workaround', 'CPU out of specification'],
  ...['out-of-tree module', 'unsigned module'],
];

/**
 * What the kernel is tainted by once it has reported such a thing, after which all else about it must still be in
 * order.
 */
const LEFT_BY: Partial<Record<KernelReportKind, readonly string[]>> = {
  warning: ['warning'],
  'dma-debug': ['warning'],
  'iommu-fault': [],
  'hardware-error': [],
  oom: [],
  // By the module test_lockup, which is how to provoke one.
  'page-allocation-failure': ['user request'],
  'drm-error': [],
  'ttm-bug': [],
};

/** Undefined after reports of other kinds: the lock validator turns itself off, and what the culprit held is lost. */
export function taintsLeftBy(kinds: readonly KernelReportKind[]): readonly string[] | undefined {
  const left = kinds.map((kind) => LEFT_BY[kind]);
  return left.includes(undefined) ? undefined : left.flatMap((names) => names ?? []);
}

export function taints(value: number): string[] {
  return TAINTS.filter((_, bit) => Math.floor(value / 2 ** bit) % 2 === 1);
}

export async function taintsOf(guest: Guest): Promise<string[]> {
  return taints(Number(await guest.run('cat /proc/sys/kernel/tainted')));
}

interface KnownLeak extends Excuse {
  /** The function that allocates, and its caller, as they follow each other in the trace. */
  readonly allocatedBy: readonly [RegExp, RegExp];
}

/** By then the rig tests another kernel, and somebody has to look at these again. */
const KNOWN_UNTIL = '2027-05-31';

/** Leaks of upstream's that the series doesn't cure. Only what is told by both functions is excused. */
const KNOWN_LEAKS: readonly KnownLeak[] = [
  {
    // With it, upstream's KUnit tests of the pool would use lists that are gone: they look into them after
    // ttm_pool_fini(), and free into the global pools that ttm_global_release() has finished.
    reason: 'ttm_pool_type_fini() does not call list_lru_destroy()',
    until: KNOWN_UNTIL,
    allocatedBy: [/\b__list_lru_init\+/, /\bttm_pool_(?:type_init|mgr_init|init)\b.*\+/],
  },
  // What upstream's KUnit tests of TTM share with those of the series.
  {
    reason: 'ttm_tt_simple_destroy() does not call ttm_tt_fini()',
    until: KNOWN_UNTIL,
    allocatedBy: [/\bttm_tt_init\+/, /\bttm_tt_simple_create\+/],
  },
  {
    reason: 'ttm_mock_manager_fini() does not free the manager',
    until: KNOWN_UNTIL,
    allocatedBy: [/\b__kmalloc_cache_noprof\+/, /\bttm_mock_manager_init\+/],
  },
];

/** Of upstream's; the series has modules of its own. */
const UPSTREAM_CASE = /\[ttm_(?:device|pool|resource|tt|bo|bo_validate)_test\]$/m;
const UPSTREAM_CASES: Excuse = {
  reason: "cases of TTM's KUnit tests end without letting go of objects, their files, fences and arrays of pages",
  until: KNOWN_UNTIL,
};
const FILE = /\balloc_empty_file\+/;

/** What such a file still refers to: those of the thread that made it. */
const CREDENTIALS: Pick<KnownLeak, 'allocatedBy'> = {
  allocatedBy: [/\bprepare_creds\+/, /\bcopy_creds\+/],
};

/** Each leak with its trace, as kmemleak tells it; without those that are known, up to their last day. */
function unknownLeaks(report: string, now = new Date()): string[] {
  const leaks = report.split(/^(?=unreferenced object)/m).filter((leak) => leak.startsWith('unreferenced object'));
  const known = KNOWN_LEAKS.filter((leak) => holds(leak, now));
  const ofCases = holds(UPSTREAM_CASES, now) ? leaks.filter((leak) => UPSTREAM_CASE.test(leak)) : [];
  const others = leaks.filter((leak) => !ofCases.includes(leak) && !known.some((leaking) => isLeak(leak, leaking)));
  const credentials = others.filter((leak) => isLeak(leak, CREDENTIALS));
  const files = ofCases.filter((leak) => FILE.test(leak)).length;
  return [...others.filter((leak) => !credentials.includes(leak)), ...credentials.slice(files)];
}

function isLeak(leak: string, { allocatedBy: [allocator, caller] }: Pick<KnownLeak, 'allocatedBy'>): boolean {
  const frames = leak.split('\n');
  return frames.some((frame, index) => allocator.test(frame) && caller.test(frames[index + 1] ?? ''));
}

/** Enough to see what it is about. */
const SHOWN_LEAKS = 10;

/** What is wrong, beside taints that are expected; empty is good. */
export function healthComplaints(state: string, expected: readonly string[] = []): string[] {
  const field = (name: string): string | undefined => new RegExp(`^ *${name} *(.*)$`, 'm').exec(state)?.[1];
  const excused = [...HARMLESS, ...expected];
  const tainted = taints(Number(field('tainted'))).filter((name) => !excused.includes(name));
  const leaks = unknownLeaks(state);
  return [
    ...(tainted.length > 0 ? [`the kernel is tainted: ${tainted.join(', ')}`] : []),
    ...(field('debug_locks:') === '0' ? ['the lock validator has turned itself off, and said nothing'] : []),
    ...(leaks.length > 0
      ? [`kmemleak suspects ${String(leaks.length)} leaks:\n${leaks.slice(0, SHOWN_LEAKS).join('')}`]
      : []),
  ];
}

/** Two scans of all memory, by one CPU. */
const SCAN_DEADLINE_MS = 180_000;

const KMEMLEAK = '/sys/kernel/debug/kmemleak';

const ASK = 'echo tainted $(cat /proc/sys/kernel/tainted); grep -s debug_locks: /proc/lockdep_stats; true';
/** A leak is believed when a second scan still sees it: the first may have come between two moves of a pointer. */
const SCAN = `echo scan > ${KMEMLEAK}; sleep 6; echo scan > ${KMEMLEAK}; cat ${KMEMLEAK}`;

export async function examineKernel(guest: Guest, expected: readonly string[] = []): Promise<string[]> {
  const ask = (await canFindLeaks(guest)) ? `${ASK}; ${SCAN}` : ASK;
  return healthComplaints(await guest.run(ask, { deadlineMs: SCAN_DEADLINE_MS }), expected);
}

/**
 * kmemleak_scan() (mm/kmemleak.c) looks at each page frame that a zone spans, there or not: some 10^10 on the machine
 * `straddle`.
 */
const MOST_SPANNED_BYTES = 2 ** 40;

/** Does this kernel look for leaks, and would it come to an end? */
export async function canFindLeaks(guest: Guest): Promise<boolean> {
  if ((await guest.exec(`test -e ${KMEMLEAK}`)).exitCode !== 0) return false;
  return (await guest.zones()).every(({ startAddress, endAddress }) => endAddress - startAddress <= MOST_SPANNED_BYTES);
}

/**
 * For a test that has provoked leaks, and seen some of them: others, to which a stale pointer on some stack leads for a
 * while, would come up later. The last to be done in a VM, for the kernel does not start to look again.
 */
export async function forgetLeaks(guest: Guest): Promise<void> {
  await guest.run(`echo clear > ${KMEMLEAK} && echo off > ${KMEMLEAK}`);
}

export async function hasLockValidator(guest: Guest): Promise<boolean> {
  return (await guest.exec('grep -q debug_locks: /proc/lockdep_stats')).exitCode === 0;
}
