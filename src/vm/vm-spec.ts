/** What a VM is made of, and what a clone is made from. */
import type { Flavour } from '../config/flavour.ts';
import type { MachineProfile } from '../config/machine-profile.ts';
import type { Share } from '../config/share.ts';
import type { GpuHardware } from './qemu/command-line.ts';
import type { KernelReport } from './kernel-log/kernel-report.ts';
import type { SshKeyPair } from './link/ssh-session.ts';
import type { Accelerator } from './time-limits.ts';

/** The part of a build that a VM boots. */
export interface VmSoftware {
  readonly qemu: { readonly binary: string; readonly firmware: readonly string[] };
  readonly kernel: {
    readonly image: string;
    readonly flavour: Flavour;
    readonly vmlinux?: string;
    /** Only with debug information: then the memory of a guest that hangs or dies is dumped. */
    readonly debugModules?: string;
  };
  readonly initrd: string;
}

export interface VmSpec {
  readonly profile: MachineProfile;
  readonly accelerator: Accelerator;
  /** Times in the guest are numbers of instructions. Only TCG can do that. */
  readonly countsInstructions?: boolean;
  readonly software: VmSoftware;
  readonly gpu?: GpuHardware;
  readonly kernelArgs?: readonly string[];
  /** Folders of the host; a machine that has any is booted, never cloned. */
  readonly shares?: readonly Share[];
  /** The image of a Debian userland; a machine that has one is booted, never cloned, too. */
  readonly userland?: string | undefined;
  /** QEMU logs what the device does. */
  readonly tracesDevice?: boolean;
  /** Multiplies every time limit, for tests of what happens at its end; 1 by default. */
  readonly patience?: number;
  /** Where its logs and its verdict go; made by boot, and gone after `end({ keep: false })`. */
  readonly folder: string;
  /** Called with each report of the guest's kernel, as it begins. */
  readonly onReport?: (report: KernelReport) => void;
  /** Abort it to abandon the VM: its reason is what every wait then throws. */
  readonly signal: AbortSignal;
}

/** A machine that was booted once and saved: see template.ts. */
export interface Template {
  /** The folder has the memory, a file for each of its parts. */
  readonly folder: string;
  /** The file with all the rest of the machine's state. */
  readonly state: string;
  readonly initrd: string;
  readonly swapImage: string | undefined;
  readonly key: SshKeyPair;
  readonly hostKey: string;
}
