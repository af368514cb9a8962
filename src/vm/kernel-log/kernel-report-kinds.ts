/** The kinds of things a kernel reports about itself, and the lines that begin them, after the kernel's own printk formats. */

const SEVERITIES = {
  panic: 'bug',
  oops: 'bug',
  bug: 'bug',
  warning: 'bug',
  lockdep: 'bug',
  'atomic-sleep': 'bug',
  kasan: 'bug',
  kfence: 'bug',
  kmsan: 'bug',
  kcsan: 'bug',
  ubsan: 'bug',
  kmemleak: 'bug',
  /** Fortified string functions, checked copies to and from user space, stack canaries, control flow integrity. */
  hardening: 'bug',
  refcount: 'bug',
  'list-corruption': 'bug',
  'slab-corruption': 'bug',
  /** Poisoned pages written to after free, pages freed in a state that no free page has, page tables with bad entries. */
  'page-corruption': 'bug',
  /** Timers, work items and the like, freed or reused while active. */
  'object-debug': 'bug',
  'dma-debug': 'bug',
  'iommu-fault': 'bug',
  'hardware-error': 'bug',
  'hung-task': 'bug',
  'rcu-stall': 'bug',
  'soft-lockup': 'bug',
  'hard-lockup': 'bug',
  'workqueue-lockup': 'bug',
  oom: 'bug',
  'page-allocation-failure': 'note',
  'drm-error': 'note',
  /** A detector that has turned itself off, for want of memory: from here on, its silence means nothing. */
  'detector-off': 'note',
} as const;

export type KernelReportKind = keyof typeof SEVERITIES;

/** A bug fails the test; a note is what drivers, the allocator and detectors say when something they can live with goes wrong. */
export type Severity = 'bug' | 'note';

export function severityOf(kind: KernelReportKind): Severity {
  return SEVERITIES[kind];
}

type Pattern = readonly [KernelReportKind, RegExp];

/** First match wins: the particular stand before the general. */
const TITLES: readonly Pattern[] = [
  ['panic', /^Kernel panic - not syncing: /],
  ['kasan', /^BUG: KASAN: /],
  ['kfence', /^BUG: KFENCE: /],
  ['kmsan', /^BUG: KMSAN: /],
  ['kcsan', /^BUG: KCSAN: /],
  ['soft-lockup', /^watchdog: BUG: soft lockup - CPU#\d+ stuck for /],
  ['hard-lockup', /^watchdog: (CPU\d+: )?Watchdog detected hard LOCKUP on cpu \d+/],
  ['hard-lockup', /^smp: csd: Detected non-responsive CSD lock/],
  ['workqueue-lockup', /^BUG: workqueue lockup - pool/],
  [
    'lockdep',
    /^BUG: (MAX_(LOCKDEP|LOCK_DEPTH|STACK_TRACE)\w* too low!|looking up invalid subclass|key \S+ has not been reg)/,
  ],
  ['lockdep', /^BUG: (spinlock|rwlock) .* on CPU#\d+/],
  ['lockdep', /^BUG: workqueue leaked atomic, lock or RCU: /],
  ['lockdep', /^INFO: trying to register non-static key\./],
  ['lockdep', /^\[ BUG: .* \]$/],
  ['lockdep', /^WARNING: (possible .*(locking|dependency) (detected|bug)|inconsistent lock state$)/],
  ['lockdep', /^WARNING: (suspicious RCU usage$|chain_key collision$)/],
  ['lockdep', /^WARNING: (bad (unlock balance|contention) detected!|held lock freed!|Nested lock was not taken$)/],
  ['lockdep', /^WARNING: (\S+-safe -> \S+-unsafe lock order detected|.*\block(s)? held\b|lock held when returning)/],
  ['atomic-sleep', /^BUG: (scheduling while atomic: |scheduling in a non-blocking section: )/],
  [
    'atomic-sleep',
    /^BUG: (sleeping function called from invalid context|assuming (atomic|non migratable) context) at /,
  ],
  ['atomic-sleep', /^BUG: using \S+ in preemptible /],
  ['page-corruption', /^BUG: Bad (page (state|map|cache)( in process|: )|rss-counter state )/],
  ['page-corruption', /^BUG: non-zero pgtables_bytes on freeing mm: /],
  ['page-corruption', /^pagealloc: (single bit error|memory corruption)$/],
  ['slab-corruption', /^BUG \S.* \((Not tainted|Tainted: .*)\): /],
  ['slab-corruption', /^BUG: mempool element poison mismatch/],
  ['slab-corruption', /^WARNING: mm\/slub\.c:\d+ at /],
  ['slab-corruption', /^kernel BUG at mm\/slub\.c:\d+!/],
  ['hardening', /^kernel BUG at (mm\/usercopy|lib\/string_helpers)\.c:\d+!/],
  ['list-corruption', /^kernel BUG at lib\/list_debug\.c:\d+!/],
  ['warning', /^WARNING: (CPU: \d+ PID: \d+ )?at \S+/],
  ['warning', /^WARNING: \S+:\d+ at \S+/],
  ['oops', /^BUG: (unable to handle |kernel NULL pointer dereference|.*stack guard page was hit)/],
  ['bug', /^BUG: \S/],
  ['bug', /^kernel BUG at \S+:\d+!/],
  ['oops', /^(Oops: )?\S.*: [0-9a-f]{4} \[#\d+\]/],
  ['ubsan', /^UBSAN: \S.* in \S+:\d+:\d+/],
  ['hardware-error', /^(mce: )?\[Hardware Error\]: /],
  ['hung-task', /^INFO: task .+:\d+ blocked( in I\/O wait)? for more than \d+ seconds\./],
  ['rcu-stall', /^rcu: INFO: \w+ (self-detected stall on CPU|detected (expedited )?stalls on (CPUs\/)?tasks)/],
  ['rcu-stall', /^INFO: rcu_tasks detected stalls on tasks:/],
  ['kmemleak', /^kmemleak: \d+ new suspected memory leaks/],
  ['iommu-fault', /^DMAR: (\[(DMA|INTR-REMAP)[^\]]*\] Request device|VT-d detected )/],
  ['iommu-fault', /^(\S+ \S+: )?AMD-Vi: .*\b(Event logged|Completion-Wait loop timed out)/],
  ['iommu-fault', /^virtio_iommu \S+: \w+ fault from EP \d+/],
  ['iommu-fault', /^arm-smmu\S* \S+: Unhandled context fault/],
  ['oom', /^\S.* invoked oom-killer: /],
  ['oom', /^(Out of memory|Memory cgroup out of memory): Killed process /],
  ['page-allocation-failure', /^\S.*: (page allocation failure: order:\d+|page allocation stall for \d+ secs)/],
  ['page-allocation-failure', /^\S.*: vmalloc error: size \d+/],
  ['drm-error', /^(\S+ \S+: )?\[drm(:[^\]]*(\[\w+\])?)?\] \*ERROR\*/],
  ['detector-off', /^DMA-API: (debugging out of memory - disabling|cacheline tracking ENOMEM, dma-debug disabled)$/],
  ['detector-off', /^ODEBUG: Out of memory\. ODEBUG disabled$/],
  ['detector-off', /^kmemleak: Cannot allocate a kmemleak_object structure$/],
  ['drm-error', /^\[TTM\] (Failed|Buffer eviction failed|Illegal|Error)/],
];

/** What stands between "cut here" and the title says more than the title does. */
const PREAMBLES: readonly Pattern[] = [
  ['refcount', /^refcount_t: /],
  ['list-corruption', /^(list_(add|del)|prev->next|next->prev|hlist\S*)\b.* corruption\b/],
  ['dma-debug', /^(\S+ \S+: )?DMA-API: /],
  ['object-debug', /^ODEBUG: /],
  [
    'hardening',
    /^(usercopy: Kernel memory |memcpy: detected |\w+: detected (buffer overflow|field-spanning write)|CFI failure )/,
  ],
  ['lockdep', /^(DEBUG_(LOCKS|RWSEMS)_WARN_ON\(|Voluntary context switch within RCU)/],
  ['slab-corruption', /^(kmem_cache_destroy \S+: Slab cache still has objects|cache_from_obj: Wrong slab cache)/],
];

export function kindOfTitle(text: string): KernelReportKind | undefined {
  return kindBy(TITLES, text);
}

export function kindOfPreamble(text: string): KernelReportKind | undefined {
  return kindBy(PREAMBLES, text);
}

function kindBy(patterns: readonly Pattern[], text: string): KernelReportKind | undefined {
  return patterns.find(([, pattern]) => pattern.test(text))?.[0];
}
