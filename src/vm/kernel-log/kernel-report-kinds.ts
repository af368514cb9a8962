/** The kinds of things a kernel reports about itself, and the lines that begin them, after its own printk formats. */

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
  /** Poisoned pages written to after free, pages freed in a state that no free page has; page tables, swap entries. */
  'page-corruption': 'bug',
  /** What was swapped out can't be read back. */
  'swap-error': 'bug',
  /** Timers, work items and the like, freed or reused while active. */
  'object-debug': 'bug',
  'dma-debug': 'bug',
  /** An interface of the kernel's core used as it must not be, where the kernel puts up with it: it leaves no taint. */
  'api-misuse': 'bug',
  /** TTM says that a promise about its pages is broken: their reach, their memory type. */
  'ttm-bug': 'bug',
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
  /** A system sleep or a runtime suspend that a device refuses, or that it does not come back from. */
  'suspend-failure': 'note',
  /** Bounce buffers are used up: what was to be mapped is not. */
  'bounce-failure': 'note',
  'msr-access': 'note',
  'io-error': 'note',
  /** A detector that has turned itself off, for want of memory: from here on, its silence means nothing. */
  'detector-off': 'note',
} as const;

export type KernelReportKind = keyof typeof SEVERITIES;

/** A bug fails the test; a note is what is said of something that goes wrong, and that the kernel can live with. */
export type Severity = 'bug' | 'note';

export function severityOf(kind: KernelReportKind): Severity {
  return SEVERITIES[kind];
}

/** A report that is said in one line has none that follow; of the others, all up to their end belong to them. */
type Pattern = readonly [kind: KernelReportKind, text: RegExp, extent?: 'line'];

/** First match wins: the particular stand before the general. */
const TITLES: readonly Pattern[] = [
  ['panic', /^Kernel panic - not syncing: /],
  ['kasan', /^BUG: KASAN: /],
  ['kfence', /^BUG: KFENCE: /],
  ['kmsan', /^BUG: KMSAN: /],
  ['kcsan', /^BUG: KCSAN: /],
  ['soft-lockup', /^(NMI )?watchdog: BUG: soft lockup - CPU#\d+ stuck for /],
  ['soft-lockup', /^BUG: soft lockup - CPU#\d+ stuck for /],
  ['hard-lockup', /^((NMI )?watchdog: )?(CPU\d+: )?Watchdog detected hard LOCKUP on cpu \d+/],
  ['hard-lockup', /^(smp: )?csd: Detected non-responsive CSD lock/],
  ['workqueue-lockup', /^BUG: workqueue lockup - pool/],
  [
    'lockdep',
    /^BUG: (MAX_(LOCKDEP|LOCK_DEPTH|STACK_TRACE)\w* too low!|looking up invalid subclass|key \S+ has not been reg)/,
  ],
  ['lockdep', /^BUG: (spinlock|rwlock) .* on CPU#\d+/],
  ['lockdep', /^BUG: workqueue leaked (atomic, lock or RCU|lock or atomic): /],
  ['lockdep', /^INFO: trying to register non-static key\./],
  ['lockdep', /^\[ (BUG|INFO): .* \]$/],
  ['lockdep', /^(WARNING|INFO): (possible .*(locking|dependency) (detected|bug)|inconsistent lock state$)/],
  ['lockdep', /^WARNING: (suspicious RCU usage$|chain_key collision$)/],
  ['lockdep', /^WARNING: (bad (unlock balance|contention) detected!|held lock freed!|Nested lock was not taken$)/],
  ['lockdep', /^WARNING: (\S+-safe -> \S+-unsafe lock order detected|.*\block(s)? held\b|lock held when returning)/],
  ['atomic-sleep', /^BUG: (scheduling while atomic: |scheduling in a non-blocking section: )/],
  [
    'atomic-sleep',
    /^BUG: (sleeping function called from invalid context|assuming (atomic|non migratable) context) at /,
  ],
  ['atomic-sleep', /^BUG: using \S+ in preemptible /],
  ['page-corruption', /^BUG: Bad page (state|map|cache)( in process|: )/],
  ['page-corruption', /^BUG: Bad rss-counter state /, 'line'],
  ['page-corruption', /^BUG: non-zero (pgtables_bytes|nr_p[mt]\w+) on freeing mm: /, 'line'],
  ['page-corruption', /^pagealloc: (single bit error|memory corruption)$/],
  ['page-corruption', /^(\w+: )?(Bad|Unused) swap (file|offset) entry [0-9a-f]+/, 'line'],
  ['page-corruption', /^unrecognized swap entry 0x[0-9a-f]+/, 'line'],
  ['page-corruption', /^\S+\.[ch]:\d+: bad (pte|pmd|pud|p4d|pgd) /, 'line'],
  ['page-corruption', /^\S.*: Corrupted page table at address /, 'line'],
  // Shmem's accounting went wrong: blocks are left of a file that has no pages any more.
  ['page-corruption', /^shmem_evict_inode: ino=\d+ i_blocks=\d+ /, 'line'],
  ['page-corruption', /^Page cache invalidation failure on direct I\/O\./, 'line'],
  ['swap-error', /^(PM: (hibernation: )?)?Read-error on swap-device\b/, 'line'],
  ['swap-error', /^(zswap: Decompression error|zram: (Decompression|Compression) failed!)/, 'line'],
  ['slab-corruption', /^BUG \S.* \((Not tainted|Tainted: .*)\): /],
  ['slab-corruption', /^BUG: mempool element poison mismatch/],
  ['slab-corruption', /^WARNING: (\[.*\] )?mm\/slub\.c:\d+ at /],
  ['slab-corruption', /^kernel BUG at mm\/slub\.c:\d+!/],
  ['hardening', /^kernel BUG at (mm\/usercopy|lib\/string_helpers)\.c:\d+!/],
  ['list-corruption', /^kernel BUG at lib\/list_debug\.c:\d+!/],
  ['warning', /^WARNING: (CPU: \d+ PID: \d+ )?at \S+/],
  // With CONFIG_DEBUG_BUGVERBOSE_DETAILED the condition stands first.
  ['warning', /^WARNING: (\[.*\] )?\S+:\d+ at \S+/],
  ['oops', /^BUG: (unable to handle |kernel NULL pointer dereference|.*stack guard page was hit)/],
  ['oops', /^Unable to handle kernel /],
  ['oops', /^PANIC: (double fault|early exception)/],
  ['bug', /^BUG: \S/],
  ['bug', /^[Kk]ernel BUG at \S+/],
  ['oops', /^(Oops: )?\S.*: [0-9a-f]{4} \[#\d+\]/],
  ['ubsan', /^UBSAN: \S.* in \S+:\d+:\d+/],
  ['hardware-error', /^(mce: |\{\d+\})?\[Hardware Error\]: /],
  ['hardware-error', /^(\S+ \S+: )?(AER: |PCIe Bus Error: ).*\b(un)?correct(ed|able)\b/i],
  [
    'hardware-error',
    /^(NMI: (PCI system error|IOCK error)|Uhhuh\. NMI received for unknown reason|EDAC \S+: \d+ [CU]E )/,
  ],
  ['hardware-error', /^(Memory failure: )?0x[0-9a-f]+: (recovery action for |Sending SIGBUS to .* hardware memory )/],
  ['hung-task', /^INFO: task .+:\d+ blocked( in I\/O wait)? for more than \d+ seconds\./],
  ['rcu-stall', /^(rcu: )?INFO: \w+ (self-detected stall on CPU|detected (expedited )?stalls on (CPUs\/)?tasks)/],
  ['kmemleak', /^kmemleak: \d+ new suspected memory leaks/, 'line'],
  ['iommu-fault', /^DMAR: (\[(DMA|INTR-REMAP)[^\]]*\] Request device|VT-d detected )/, 'line'],
  ['iommu-fault', /^(\S+ \S+: )?AMD-Vi: .*\b(Event logged|Completion-Wait loop timed out)/, 'line'],
  ['iommu-fault', /^virtio_iommu \S+: \w+ fault from EP \d+/, 'line'],
  ['iommu-fault', /^arm-smmu\S* \S+: Unhandled context fault/, 'line'],
  ['oom', /^\S.* invoked oom-killer: /],
  ['oom', /^(Out of memory|Memory cgroup out of memory): Killed process /],
  ['ttm-bug', /^\[TTM\] (Page at \S+ is out of reach|Some pages are write-back now|Leaking \d+ pages)/, 'line'],
  ['api-misuse', /^irq (\d+: nobody cared|event \d+: bogus return value)/],
  ['api-misuse', /^(genirq: )?Flags mismatch irq \d+\./],
  ['api-misuse', /^(sysfs|proc_dir_entry|debugfs|kernfs|sysctl)\b.*\b(cannot create duplicate|duplicate entry)/],
  ['api-misuse', /^kobject:? .*: (tried to |invalid kobject pointer|must have a ktype)/],
  ['api-misuse', /^kobject_add_internal failed for \S+ with -EEXIST/],
  ['api-misuse', /^kmem_cache_create\(.*\) integrity check failed/],
  ['api-misuse', /^huh, entered softirq \d+ .* with preempt_count /, 'line'],
  ['api-misuse', /^(\S+ \S+: )?(Runtime PM usage count underflow!|Unbalanced pm_runtime_\w+!)/, 'line'],
  ['api-misuse', /^(\S+ \S+: )?runtime PM trying to (activate|suspend) .* but /, 'line'],
  [
    'api-misuse',
    /^(\S+ \S+: )?(Enabling|Attempt to enable) runtime PM (for inactive device with active|when it is)/,
    'line',
  ],
  ['api-misuse', /^(\S+ \S+: )?Resources present before probing$/, 'line'],
  ['api-misuse', /^(\S+ \S+: )?Tearing down scheduler while jobs are pending!/, 'line'],
  ['api-misuse', /^\w+\(\): percpu_ref underflow/],
  ['page-allocation-failure', /^\S.*: (page allocation failure: order:\d+|page allocation stall for \d+ secs)/],
  ['page-allocation-failure', /^\S.*: vmalloc error: size \d+/],
  ['page-allocation-failure', /^percpu: allocation failed, size=/],
  ['page-allocation-failure', /^cma: \w+: \S+: alloc failed, req-size: /, 'line'],
  // Of a driver's fault handler, mostly: the access is tried again, perhaps for ever.
  ['page-allocation-failure', /^Huh VM_FAULT_OOM leaked out to the #PF handler\./, 'line'],
  ['drm-error', /^(\S+ \S+: )?\[drm(:[^\]]*(\[\w+\])?)?\] \*ERROR\*/, 'line'],
  ['drm-error', /^\[TTM\] (Failed|Buffer eviction failed|Illegal|Error)/, 'line'],
  [
    'drm-error',
    /^\w+ \S+: .*\b(Timedout job|[Ee]ngine reset|GPU HANG|GPU lockup|GPU reset begin|Engine memory CAT)/,
    'line',
  ],
  ['drm-error', /^\w+ \S+: .*\b(ring \S+ (timeout|stalled)|evicting device resources failed)/, 'line'],
  ['suspend-failure', /^(\S+ \S+: )?PM: (failed to \w+( \w+)*: error -\d+|.*\breturns -\d+$)/, 'line'],
  ['suspend-failure', /^PM: (Some|noirq|late|early) .*devices\b.*failed/, 'line'],
  ['suspend-failure', /^(PM: )?Freezing .* (failed|aborted) after \d/],
  ['suspend-failure', /^(\S+ \S+: )?\*\*\*\* DPM device timeout/],
  ['bounce-failure', /^(\S+ \S+: )?swiotlb buffer is full /, 'line'],
  ['msr-access', /^unchecked MSR access error: /],
  // The page stays in memory; compressed RAM refuses it when there is none left for it.
  ['io-error', /^(PM: )?(Write-error on swap-device|Write error -?\d+ on dio swapfile)\b/, 'line'],
  ['io-error', /^(Buffer )?I\/O error[, ]+(on )?dev /, 'line'],
  [
    'detector-off',
    /^DMA-API: (debugging out of memory - disabling|cacheline tracking ENOMEM, dma-debug disabled)$/,
    'line',
  ],
  ['detector-off', /^ODEBUG: Out of memory\. ODEBUG disabled$/, 'line'],
  [
    'detector-off',
    /^kmemleak: (Cannot (allocate a kmemleak_object|insert 0x)|Kernel memory leak detector disabled)/,
    'line',
  ],
];

/** What stands between "cut here" and the title, or just before it, says more than the title does. */
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
  ['slab-corruption', /^\[.* overwritten\] 0x[0-9a-f]+-0x[0-9a-f]+ /],
  ['oops', /^(kernel tried to execute NX-protected page|unable to execute userspace code) /],
  ['slab-corruption', /^(kmem_cache_destroy \S+: Slab cache still has objects|cache_from_obj: Wrong slab cache)/],
  // No more particular a kind than their title's, but without "cut here" before them.
  ['bug', /\bGEM_BUG_ON\(.*\)$/],
];

export interface Title {
  readonly kind: KernelReportKind;
  /** Nothing that follows belongs to it. */
  readonly isAll: boolean;
}

export function parseTitle(text: string): Title | undefined {
  const found = TITLES.find(([, pattern]) => pattern.test(text));
  return found && { kind: found[0], isAll: found[2] === 'line' };
}

export function kindOfPreamble(text: string): KernelReportKind | undefined {
  return PREAMBLES.find(([, pattern]) => pattern.test(text))?.[0];
}

/** How a dump of a page begins, which VM_BUG_ON_FOLIO() and its like print before all else. */
export const PAGE_DUMP = /^page: ?([0-9a-f]+ )?refcount:/;

const CONDITION = /(?:^page dumped because: |\b)((?:VM|GEM|drm)_(?:BUG|WARN)_ON\w*\(.*\))$/;

/** What an assertion asserts, where a line before the title says so. */
export function conditionOf(text: string): string | undefined {
  return CONDITION.exec(text)?.[1];
}
