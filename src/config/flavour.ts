/** The guest kernel's flavours: what each adds to the configuration and to the command line, and what it costs in time. */

export const FLAVOURS = ['plain', 'kasan', 'lockdep', 'kmemleak', 'failslab', 'hostfs'] as const;
export type Flavour = (typeof FLAVOURS)[number];

interface FlavourTraits {
  /** Of the guest, by which every time limit grows. */
  readonly slowdown: number;
  /** For the kernel's command line. */
  readonly kernelArgs: readonly string[];
}

const TRAITS: Readonly<Record<Flavour, FlavourTraits>> = {
  plain: { slowdown: 1, kernelArgs: [] },
  // All reports of a test, not only its first: the first is often an old acquaintance.
  kasan: { slowdown: 4, kernelArgs: ['kasan_multi_shot'] },
  lockdep: { slowdown: 3, kernelArgs: [] },
  kmemleak: { slowdown: 3, kernelArgs: ['kmemleak=on'] },
  failslab: { slowdown: 2, kernelArgs: [] },
  // No detector, but the host's files: for comparisons with tools that boot from those.
  hostfs: { slowdown: 1, kernelArgs: [] },
};

/** By how much longer anything in the guest may take than with the plain kernel. */
export function slowdownOf(flavour: Flavour): number {
  return TRAITS[flavour].slowdown;
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

/** Files of guest-kernel/config, in the order in which they are put together: the last word counts. */
export function flavourFragments(flavour: Flavour): string[] {
  return ['base.config', 'tests.config', ...(flavour === 'plain' ? [] : [`${flavour}.config`])];
}
