/** What a kernel that has reported nothing may still have to hide: taint, a lock validator that has given up, leaks. */
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

/** An in-kernel test has run, which is what suites do; QEMU's firmware is what it is; and benches switch CPU features off. */
const HARMLESS: readonly string[] = ['test module', 'firmware workaround', 'CPU out of specification'];

export function taints(value: number): string[] {
  return TAINTS.filter((_, bit) => Math.floor(value / 2 ** bit) % 2 === 1);
}

/** What is wrong; empty is good. */
export function healthComplaints(state: string): string[] {
  const field = (name: string): string | undefined => new RegExp(`^ *${name} *(.*)$`, 'm').exec(state)?.[1];
  const tainted = taints(Number(field('tainted'))).filter((name) => !HARMLESS.includes(name));
  const leaks = Number(field('leaks') ?? 0);
  return [
    ...(tainted.length > 0 ? [`the kernel is tainted: ${tainted.join(', ')}`] : []),
    ...(field('debug_locks:') === '0' ? ['the lock validator has turned itself off, and said nothing'] : []),
    ...(leaks > 0
      ? [`kmemleak suspects ${String(leaks)} leaks:\n${state.slice(state.indexOf('unreferenced object'))}`]
      : []),
  ];
}

const KMEMLEAK = '/sys/kernel/debug/kmemleak';

/** A leak is believed when a second scan still sees it: the first may have come between two moves of a pointer. */
const ASK = [
  'echo tainted $(cat /proc/sys/kernel/tainted)',
  'grep -s debug_locks: /proc/lockdep_stats',
  `test ! -e ${KMEMLEAK} || { echo scan > ${KMEMLEAK}; sleep 6; echo scan > ${KMEMLEAK}; `,
  `  echo leaks $(grep -c ^unreferenced ${KMEMLEAK}); head -c 20000 ${KMEMLEAK}; }`,
  'true',
].join('\n');

export async function examineKernel(guest: Guest): Promise<string[]> {
  return healthComplaints(await guest.run(ASK));
}
