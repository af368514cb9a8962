/** What can vary between two runs of the same test, and one choice of it all. */
import type { Flavour } from './flavour.ts';

/** How many bits an address of the device may have, from and to: real cards have 32, 36, 39, 40, 44, 47 or 48. */
export const DMA_BITS = { from: 32, to: 52 } as const;

/** The widths that are tested where nobody says others: the machine `tiers` has memory beyond each. */
export const USUAL_DMA_BITS = [32, 40, 48] as const;

/** How QEMU runs the guest; by default KVM where it works. */
export const ACCELERATOR_CHOICES = ['auto', 'kvm', 'tcg'] as const;
export type AcceleratorChoice = (typeof ACCELERATOR_CHOICES)[number];

/** What the driver's objects live in. */
export const BACKENDS = ['shmem', 'backup', 'legacy'] as const;
export type Backend = (typeof BACKENDS)[number];

/** How the pages of an object are mapped. */
export const CACHINGS = ['cached', 'wc', 'uc'] as const;
type Caching = (typeof CACHINGS)[number];

/** How much of all that is possible is tested: every pair of values, or every combination. */
export const COVERS = ['pairs', 'full'] as const;
export type Cover = (typeof COVERS)[number];

export interface Combination {
  readonly machine: string;
  readonly dmaBits: number;
  readonly backend: Backend;
  readonly caching: Caching;
  /** Of the guest's kernel. */
  readonly flavour: Flavour;
}

export type Factor = keyof Combination;
export const FACTORS = ['machine', 'dmaBits', 'backend', 'caching', 'flavour'] as const satisfies readonly Factor[];

/** The values each factor can have, the usual one first: that is what a failing combination is reduced to. */
export type Factors = { readonly [Name in Factor]: readonly [Combination[Name], ...Combination[Name][]] };

/** Combinations that can't be had: those that have one of the values for each factor that is named. */
export interface Impossible {
  readonly values: { readonly [Name in Factor]?: readonly Combination[Name][] | undefined };
  readonly because: string;
}

export function isPossible(combination: Combination, impossible: readonly Impossible[]): boolean {
  return !impossible.some(({ values }) =>
    FACTORS.every((name) => {
      const excluded: readonly unknown[] | undefined = values[name];
      return excluded === undefined || excluded.includes(combination[name]);
    }),
  );
}

/** Equal for equal combinations, and short enough to be a test's name. */
export function combinationName(combination: Combination): string {
  return FACTORS.map((name) => valueName(name, combination)).join(' ');
}

/** What of it is unusual, in words; everything else is as always. */
export function unusualPart(combination: Combination, factors: Factors): string {
  const unusual = FACTORS.filter((name) => combination[name] !== factors[name][0]);
  return unusual.length === 0
    ? 'nothing unusual about it'
    : unusual.map((name) => `${name} ${String(combination[name])}`).join(', ');
}

function valueName(name: Factor, combination: Combination): string {
  return name === 'dmaBits' ? `${String(combination.dmaBits)}-bit` : combination[name];
}
