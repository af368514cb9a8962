/**
 * Which accelerator a test's machine runs under: suites choose machines of their own, and not each can have KVM on
 * every host.
 */
import { loadMachineProfile } from '../../config/machine-profile.ts';
import type { RigContext } from '../../plan/rig-context.ts';
import { chooseAccelerator } from '../../vm/kvm-proof.ts';
import type { Accelerator } from '../../vm/time-limits.ts';

export async function acceleratorOf(rig: RigContext, machine: string, signal: AbortSignal): Promise<Accelerator> {
  if (machine === rig.selection.machine) return rig.acceleration.accelerator;
  const { accelerator } = await chooseAccelerator(rig.accelerator, {
    software: rig.build,
    profile: await loadMachineProfile(machine),
    emit: () => undefined,
    signal,
  });
  return accelerator;
}
