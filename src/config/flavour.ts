/**
 * The guest kernel's flavours: what each adds to the configuration and to the command line, and what it costs in time.
 */

export const FLAVOURS = [
  'plain',
  'kasan',
  'lockdep',
  'kmemleak',
  'failslab',
  'kcsan',
  'distro',
  'gcov',
  'hostfs',
] as const;
export type Flavour = (typeof FLAVOURS)[number];

interface FlavourTraits {
  /** What the kernel checks for. */
  readonly description: string;
  /** Of the guest, by which every time limit grows. */
  readonly slowdown: number;
  /** Share of the memory in use that its own bookkeeping takes, beside what the plain kernel needs. */
  readonly bookkeeping: number;
  /** For the kernel's command line. */
  readonly kernelArgs: readonly string[];
}

const TRAITS: Readonly<Record<Flavour, FlavourTraits>> = {
  plain: { description: 'nothing beyond what a kernel always checks', slowdown: 1, bookkeeping: 0, kernelArgs: [] },
  // All reports of a test, not only its first: the first is often an old acquaintance.
  // What was freed is kept for a while, as much as 1/32 of all memory.
  kasan: {
    description: 'memory errors: use after free, out of bounds',
    slowdown: 4,
    bookkeeping: 0.05,
    kernelArgs: ['kasan_multi_shot'],
  },
  // The DMA API's debugging has an entry of 192 bytes and a radix tree's node of 584 for each mapping: in the worst
  // case each page. They come from the node of the CPU that maps it: 52 MiB of nodes for 380 MiB, seen on node 0 with
  // the program on CPU 0.
  lockdep: {
    description: 'locking: deadlocks, sleeping in atomic context, misuse of the DMA API',
    slowdown: 3,
    bookkeeping: 0.19,
    kernelArgs: [],
  },
  // A record of half a KiB for each allocation.
  kmemleak: { description: 'memory leaks', slowdown: 3, bookkeeping: 0.04, kernelArgs: ['kmemleak=on'] },
  // With kmemleak, which sees what an error path forgets.
  failslab: {
    description: 'error paths: allocations fail on demand; and memory leaks',
    slowdown: 3,
    bookkeeping: 0.04,
    kernelArgs: ['kmemleak=on'],
  },
  // Each access that it watches is made to wait.
  kcsan: { description: 'data races', slowdown: 5, bookkeeping: 0, kernelArgs: [] },
  // A record of 8 bytes for each page, and for each object of a slab.
  distro: {
    description: 'allocations that no line of code is known to have asked for; with sets of 1024 nodes',
    slowdown: 2,
    bookkeeping: 0.02,
    kernelArgs: [],
  },
  // No detector, but counters of what is executed: of TTM, the driver, and the files that the series touches.
  gcov: {
    description: 'nothing more; it counts which lines are executed, for dgpu-rig coverage',
    slowdown: 1,
    bookkeeping: 0,
    kernelArgs: [],
  },
  // No detector, but the host's files: for comparisons with tools that boot from those.
  hostfs: {
    description: "nothing more; it can read the host's files, for comparisons with tools that boot from those",
    slowdown: 1,
    bookkeeping: 0,
    kernelArgs: [],
  },
};

export function flavourDescription(flavour: Flavour): string {
  return TRAITS[flavour].description;
}

/** By how much longer anything in the guest may take than with the plain kernel. */
export function slowdownOf(flavour: Flavour): number {
  return TRAITS[flavour].slowdown;
}

/** Of memory that tests may fill to the brim. */
export function bookkeepingOf(flavour: Flavour): number {
  return TRAITS[flavour].bookkeeping;
}

/**
 * A number of repetitions that are no part of what is claimed, so that a slow kernel takes about as long as the plain
 * one.
 */
export function scaledCount(count: number, flavour: Flavour): number {
  return Math.ceil(count / slowdownOf(flavour));
}

/** What the kernel takes for a hang has to be scaled, too, or a slow guest is reported as a broken one. */
export function flavourKernelArgs(flavour: Flavour): string[] {
  const { slowdown, kernelArgs } = TRAITS[flavour];
  if (slowdown === 1) return [...kernelArgs];
  const seconds = (usual: number, most = Infinity): string => String(Math.min(usual * slowdown, most));
  return [
    ...kernelArgs,
    `watchdog_thresh=${seconds(10, 60)}`,
    `rcupdate.rcu_cpu_stall_timeout=${seconds(21, 300)}`,
    // Read by the guest's init.
    `rig.hung_task=${seconds(30)}`,
  ];
}

/** What else may be asked of a kernel, whatever its flavour. */
export interface KernelVariant {
  /** Without the series and the driver: what upstream does by itself. */
  readonly unpatched?: boolean;
  /** For gdb, and for source lines in kernel reports; the build takes longer and needs more disk. */
  readonly debugInfo?: boolean;
  /** Options of a person's own: `CONFIG_X=y`, or paths of files of such lines. */
  readonly kconfig?: readonly string[];
  /** Paths of patches of a person's own, for on top of all else. */
  readonly patches?: readonly string[];
  /** With what could be mutated beside the kernel: for `dgpu-rig mutate`. */
  readonly mutants?: boolean;
}

/** Files of guest-kernel/config, in the order in which they are put together: the last word counts. */
export function configFragments(
  flavour: Flavour,
  { unpatched = false, debugInfo = false }: KernelVariant = {},
): string[] {
  return [
    'base.config',
    'tests.config',
    ...(unpatched ? [] : ['series.config']),
    ...(flavour === 'plain' ? [] : [`${flavour}.config`]),
    ...(debugInfo ? ['debug-info.config'] : []),
  ];
}
