/**
 * What a suite asks of a slow kernel, or of one that keeps records of everything: as much as it can do, with the same
 * claim.
 */
import { inject } from 'vitest';
import { bookkeepingOf, scaledCount, slowdownOf } from '../../config/flavour.ts';
import type { Accelerator } from '../../vm/time-limits.ts';

/** Repetitions, or objects where their number is not what is claimed. */
export function scaled(count: number): number {
  return scaledCount(count, inject('rig').selection.flavour);
}

/** A share of free memory that can be filled on the plain kernel, less what this one keeps records in. */
export function fillable(share: number): number {
  return share - bookkeepingOf(inject('rig').selection.flavour);
}

/** What an emulated processor costs where CPU and disk share the work: as in src/vm/time-limits.ts. */
export const EMULATION = 5;

/** A time after which a person at the device would say that it stands still, on a machine that has this accelerator. */
export function patienceMs(ms: number, accelerator: Accelerator): number {
  return ms * (accelerator === 'tcg' ? EMULATION : 1) * slowdownOf(inject('rig').selection.flavour);
}
