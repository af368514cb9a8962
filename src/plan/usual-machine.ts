/**
 * Which machine tests run on where nobody chose one: `tiers`, which has memory beyond each of the usual masks; or the
 * one among its smaller relatives that has most of that and that KVM can have, where it can't have `tiers`.
 */
import type { AcceleratorChoice } from '../config/combination.ts';
import { KVM_DEVICE } from '../config/kvm-device.ts';
import { addressBits, loadMachineProfile, widestLimit } from '../config/machine-profile.ts';
import type { Acceleration } from '../vm/kvm-proof.ts';
import { DEFAULT_SELECTION, type RigContext, type Selection } from './rig-context.ts';

/** The one that can show most limits is the first. */
const RICHEST_FIRST = [DEFAULT_SELECTION.machine, 'tiers-48', 'tiers-46', 'tiers-39'];

interface UsualMachine extends Pick<Selection, 'machine' | 'wider'> {
  /** Why it is not `tiers`, for people. */
  readonly reason?: string;
}

/** What it would be under KVM on this host; whether KVM works there is for a trial to find out. */
export async function usualMachine(choice: AcceleratorChoice, device = KVM_DEVICE): Promise<UsualMachine> {
  const { machine } = DEFAULT_SELECTION;
  if (choice === 'tcg' || (await device.opens()).verdict !== 'good') return { machine };
  const bits = await device.addressBits();
  const profiles = await Promise.all(RICHEST_FIRST.map(loadMachineProfile));
  const fitting = profiles.find((profile) => addressBits(profile) <= bits);
  if (!fitting || fitting.name === machine) return { machine };
  const shown = widestLimit(fitting);
  const because = `${fitting.name} instead of ${machine}, as the processor has ${bits} address bits`;
  if (choice === 'kvm') {
    return { machine: fitting.name, reason: `${because}: no limit of more than ${shown} bits is shown.` };
  }
  const reason = `${because}: limits of more than ${shown} bits are left to ${machine} under tcg.`;
  return { machine: fitting.name, wider: { than: shown, machine }, reason };
}

/** Where KVM did not work after all, it is what was asked for. */
export function onUsualMachine(
  { reason, ...machine }: UsualMachine,
  selection: Selection,
  acceleration: Acceleration,
): Pick<RigContext, 'selection' | 'acceleration'> {
  if (acceleration.accelerator === 'tcg') return { selection, acceleration };
  return {
    selection: { ...selection, ...machine },
    acceleration: reason === undefined ? acceleration : { ...acceleration, reason },
  };
}

/** The machine for tests with such a mask. */
export function machineFor({ machine, wider }: Pick<Selection, 'machine' | 'wider'>, dmaBits: number): string {
  return wider && dmaBits > wider.than ? wider.machine : machine;
}
