/**
 * QEMU's command line, from a machine profile and what is plugged into it: pure functions, one for each part of the
 * machine.
 */
import type { MachineProfile } from '../../config/machine-profile.ts';
import type { Share } from '../../config/share.ts';
import type { Accelerator } from '../time-limits.ts';

/** The device as QEMU's properties take it. */
export interface GpuHardware {
  readonly dmaBits: number;
  readonly vramMiB: number;
  readonly apertureMiB: number;
}

interface BootFiles {
  readonly kernel: string;
  readonly initrd: string;
  /** Folders with firmware, the first that has a file wins. */
  readonly firmware: readonly string[];
  /** The image behind the disk whose serial number is "swap", for a profile with a swap disk. */
  readonly swapImage: string;
}

/**
 * Where monitor and console go: an inherited socket and a pair of FIFOs for the rig, the terminal for a person
 * replaying.
 */
export type Channels =
  { readonly kind: 'rig'; readonly monitorFd: number; readonly console: string } | { readonly kind: 'terminal' };

export interface VmHardware {
  readonly profile: MachineProfile;
  readonly accelerator: Accelerator;
  /** Times in the guest are numbers of instructions, the same on every busy or idle host. Only TCG can do that. */
  readonly countsInstructions?: boolean;
  readonly gpu: GpuHardware | undefined;
  readonly files: BootFiles;
  readonly channels: Channels;
  readonly shares?: readonly Share[];
  /** The image of a Debian userland. */
  readonly userland?: string | undefined;
  /** The kernel says where in memory is what a debugger starts from. */
  readonly isReadable?: boolean;
  /** The kernel gets these arguments after the profile's own. */
  readonly kernelArgs: readonly string[];
  /** It does not boot: it waits for the state of another one, which its monitor has it read. */
  readonly waitsForState?: boolean;
  /** A file for the device's trace events, with the host's time. */
  readonly deviceTrace?: string | undefined;
}

/** Makes the guest's init start a shell on the serial port. */
export const SHELL_ON_CONSOLE = 'rig.console';

/**
 * A guest that has broken into QEMU can't start a program, get other privileges or change priorities: the host's kernel
 * ends QEMU, or refuses the system call.
 */
const SANDBOX = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny';

/** Where in QEMU's object tree a device's properties and statistics are. */
export function gpuQomPath(unit: number): string {
  return `/machine/peripheral/${gpuId(unit)}`;
}

function gpuId(unit: number): string {
  return `gpu${String(unit)}`;
}

export function qemuArguments(hardware: VmHardware): string[] {
  const { profile, gpu, files, channels } = hardware;
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-sandbox', SANDBOX],
    ...files.firmware.flatMap((folder) => ['-L', folder]),
    ...processor(hardware),
    ...bootMemory(hardware),
    ...iommu(profile),
    ...profile.memory.dimms.flatMap((dimm, index) => pluggedMemory(dimm, index)),
    ...swapDisk(profile, files),
    ...network(),
    ...['-device', 'virtio-rng-pci', '-device', 'pvpanic-pci'],
    ...(hardware.isReadable ? ['-device', 'vmcoreinfo'] : []),
    ...(gpu ? graphics(gpu, profile) : []),
    ...profile.plugged.flatMap((device) => ['-device', device]),
    ...(hardware.userland === undefined ? [] : userlandDisk(hardware.userland)),
    ...(hardware.shares ?? []).flatMap(sharedFolder),
    ...reactions(),
    ...(hardware.deviceTrace === undefined ? [] : deviceTrace(hardware.deviceTrace)),
    ...monitorAndConsole(channels),
    ...(hardware.waitsForState ? ['-incoming', 'defer'] : []),
    ...['-kernel', files.kernel, '-initrd', files.initrd, '-append', kernelCommandLine(hardware)],
  ];
}

function processor({ profile, accelerator, countsInstructions = false }: VmHardware): string[] {
  const { cpu, cpuNodes, iommu } = profile;
  const count = String(cpuNodes.length);
  const threads = countsInstructions ? 'single' : 'multi';
  // Interrupt remapping by a vIOMMU needs the I/O APIC in QEMU.
  const irqchip = accelerator === 'kvm' && iommu !== undefined ? ',kernel-irqchip=split' : '';
  return [
    ...['-machine', `q35${irqchip}`, '-accel', accelerator === 'tcg' ? `tcg,thread=${threads}` : 'kvm'],
    // A nanosecond of the guest's clocks is an instruction; while it is idle they go with the host's.
    ...(countsInstructions ? ['-icount', 'shift=0,sleep=on'] : []),
    ...['-cpu', accelerator === 'tcg' ? underTcg(cpu) : underKvm(cpu)],
    ...['-smp', `${count},sockets=${count}`],
  ];
}

/**
 * A processor with fast string instructions has the kernel clear and copy memory by those of a byte; TCG does one byte
 * after the other. Without them it takes those of eight bytes.
 */
function underTcg(cpu: string): string {
  return `${cpu},erms=off,fsrm=off,fsrs=off`;
}

/**
 * The host's own processor under the profile's name, with the host's address bits. By its name a guest chooses between
 * AMD's and Intel's instruction for a hypercall; the other vendor's KVM would have to rewrite the wrong one, which the
 * guest's kernel is protected from. Of the MSR of the architecture's capabilities (0x10a) some hosts that are VMs
 * themselves offer bits that they then refuse, and QEMU gives up; it tells which mitigations are needed, and the
 * guest's kernel has none.
 */
function underKvm(cpu: string): string {
  const named = cpu.replace(/^max\b/, 'host').replace(/,phys-bits=\d+/, '');
  const hypercalls = ['unhalt', 'ipi', 'sched-yield'].map((name) => `kvm-pv-${name}=off`);
  return [named, ...hypercalls, 'arch-capabilities=off'].join(',');
}

function bootMemory({ profile: { memory, cpuNodes } }: VmHardware): string[] {
  const { boot, maxBytes, dimms } = memory;
  const size = `${String(boot.sizeMiB)}M`;
  const pluggable = dimms.length > 0 ? `,slots=${String(dimms.length)},maxmem=${String(maxBytes >> 20n)}M` : '';
  const nodes = [...new Set([boot.node, ...cpuNodes])].sort((a, b) => a - b);
  return [
    ...['-m', `${size}${pluggable}`, '-object', memoryBackend('ram', boot.sizeMiB)],
    ...nodes.flatMap((node) => ['-numa', numaNode(node, boot.node, cpuNodes)]),
  ];
}

function numaNode(node: number, bootNode: number, cpuNodes: readonly number[]): string {
  const cpus = cpuNodes.flatMap((home, cpu) => (home === node ? [`cpus=${String(cpu)}`] : []));
  return [`node,nodeid=${String(node)}`, ...(node === bootNode ? ['memdev=ram'] : []), ...cpus].join(',');
}

/**
 * Anonymous memory, in huge pages where the host has any: for a file that is mapped privately it has small ones alone,
 * and a fault for each of them costs more than what a guest under TCG does with it.
 */
function memoryBackend(id: string, sizeMiB: number): string {
  return `memory-backend-ram,id=${id},size=${String(sizeMiB)}M`;
}

function pluggedMemory(dimm: MachineProfile['memory']['dimms'][number], index: number): string[] {
  const id = String(index);
  return [
    ...['-object', memoryBackend(`ram${id}`, dimm.sizeMiB)],
    ...[
      '-device',
      `pc-dimm,id=dimm${id},memdev=ram${id},node=${String(dimm.node)},addr=0x${dimm.address.toString(16)}`,
    ],
  ];
}

function iommu({ iommu: kind }: MachineProfile): string[] {
  switch (kind) {
    case undefined:
      return [];
    case 'intel':
      return ['-device', 'intel-iommu,intremap=on,aw-bits=48'];
    case 'amd':
      return ['-device', 'amd-iommu,intremap=on'];
    case 'virtio':
      return ['-device', 'virtio-iommu-pci'];
  }
}

function swapDisk({ swap }: MachineProfile, files: BootFiles): string[] {
  if (swap?.kind !== 'disk') return [];
  return [
    // Nothing on it outlives the VM, so nothing needs to reach the host's disk.
    ...['-drive', `if=none,id=swap,file=${escapeComma(files.swapImage)},format=raw,cache=unsafe,discard=unmap`],
    ...['-device', 'virtio-blk-pci,drive=swap,serial=swap'],
  ];
}

/** The guest knows it by its serial number. All VMs have the same one. */
function userlandDisk(image: string): string[] {
  return [
    ...['-drive', `if=none,id=debian,file=${escapeComma(image)},format=raw,readonly=on`],
    ...['-device', 'virtio-blk-pci,drive=debian,serial=debian'],
  ];
}

/** In the guest it is mounted by init; a file of another file system below the folder keeps a number of its own. */
function sharedFolder({ folder }: Share, index: number): string[] {
  const id = shareId(index);
  return [
    ...['-fsdev', `local,id=${id},path=${escapeComma(folder)},security_model=none,readonly=on,multidevs=remap`],
    ...['-device', `virtio-9p-pci,fsdev=${id},mount_tag=${id}`],
  ];
}

function shareId(index: number): string {
  return `share${String(index)}`;
}

/** Port 0: the host's kernel chooses a free one, which QEMU is asked for afterwards. */
function network(): string[] {
  return [
    ...['-netdev', 'user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:0-:22'],
    ...['-device', 'virtio-net-pci,netdev=net0,romfile='],
  ];
}

function graphics(
  { dmaBits, vramMiB, apertureMiB }: GpuHardware,
  { devices, display }: Pick<MachineProfile, 'devices' | 'display'>,
): string[] {
  const sizes = `vram-size=${String(vramMiB)}M,aperture-size=${String(apertureMiB)}M`;
  return Array.from({ length: devices }, (_, unit) => [
    '-device',
    `edgpu,id=${gpuId(unit)},dma-bits=${String(dmaBits)},${sizes}${display && unit === 0 ? ',display=on' : ''}`,
  ]).flat();
}

/** Not each access to a register: of those there are many, and what they bring about is an event of its own. */
function deviceTrace(file: string): string[] {
  return ['-msg', 'timestamp=on', '-trace', 'edgpu_*', '-trace', '-edgpu_reg_*', '-D', file];
}

/**
 * A panicked guest stays as it is until its report is complete; a reset (triple fault) is an end, not a second boot.
 */
function reactions(): string[] {
  return ['-no-reboot', '-action', 'panic=none'];
}

function monitorAndConsole(channels: Channels): string[] {
  if (channels.kind === 'terminal') return ['-serial', 'mon:stdio'];
  return [
    ...['-chardev', `socket,id=monitor,fd=${String(channels.monitorFd)}`, '-mon', 'chardev=monitor,mode=control'],
    ...['-chardev', `pipe,id=console,path=${escapeComma(channels.console)}`, '-serial', 'chardev:console'],
  ];
}

/**
 * Notices and up on the console while it boots, which the serial port would slow down otherwise; from then on all but
 * debug messages, by the guest's init: stacks of hung tasks are mere information. Each line with its level. Under TCG
 * no timer check, which Linux leaves out by itself under KVM: on a host too busy to deliver its interrupts in time it
 * panics.
 */
function kernelCommandLine({ profile, accelerator, kernelArgs, channels, shares = [] }: VmHardware): string {
  // The guest's init sets up compressed RAM; a swap disk it recognizes by itself.
  const zram = profile.swap?.kind === 'zram' ? [`rig.zram=${String(profile.swap.sizeMiB)}`] : [];
  const mounts = shares.map(({ at }, index) => `rig.share=${shareId(index)}:${at}`);
  const log = ['console=ttyS0', 'loglevel=6', 'console_msg_format=syslog'];
  const shell = channels.kind === 'terminal' ? [SHELL_ON_CONSOLE] : [];
  const timer = accelerator === 'tcg' ? ['no_timer_check'] : [];
  return [...log, ...timer, ...zram, ...mounts, ...profile.kernelArgs, ...kernelArgs, ...shell].join(' ');
}

/** QEMU's option syntax doubles a comma that is part of a value. */
function escapeComma(value: string): string {
  return value.replaceAll(',', ',,');
}
