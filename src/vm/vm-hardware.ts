/** A VM's hardware and the files it is started with: from nothing, or from what a template left. */
import { readFile } from 'node:fs/promises';
import { writeCpio } from '../builds/guest/cpio.ts';
import { flavourKernelArgs } from '../config/flavour.ts';
import { RigError } from '../util/rig-error.ts';
import { qemuArguments, type Channels, type VmHardware } from './qemu/command-line.ts';
import { channelFd, QemuProcess } from './qemu/qemu-process.ts';
import type { SshKeyPair } from './link/ssh-session.ts';
import { replayScript, type VmFolder } from './vm-folder.ts';
import { nextDeviceTrace } from './trace/device-trace.ts';
import type { Template, VmSpec } from './vm-spec.ts';

export type Hardware = Omit<VmHardware, 'channels'>;

/** All of a machine but what it is connected to; and its files. */
export async function assemble(spec: VmSpec, folder: VmFolder, key: SshKeyPair): Promise<Hardware> {
  const { profile, software } = spec;
  const initrd = await writeInitrd(software.initrd, folder, key);
  const swapImage = profile.swap?.kind === 'disk' ? await folder.createSwapImage(profile.swap.sizeMiB) : '';
  return replayable(hardwareOf(spec, { initrd, swapImage }), spec, folder);
}

/** What a clone has of its own is its swap; to be replayed it is booted. */
export async function assembleClone(spec: VmSpec, folder: VmFolder, template: Template): Promise<Hardware> {
  const { swapImage: saved } = template;
  const swapImage = saved === undefined ? '' : await folder.copySwapImage(saved);
  const hardware = await replayable(hardwareOf(spec, { initrd: template.initrd, swapImage }), spec, folder);
  return { ...hardware, waitsForState: true };
}

/** All of a machine but its channels and the files that are its own. */
export function hardwareOf(
  { profile, accelerator, software, gpu, kernelArgs = [], shares = [], userland, countsInstructions = false }: VmSpec,
  own: { readonly initrd: string; readonly swapImage: string },
): Hardware {
  const { kernel, qemu } = software;
  return {
    profile,
    accelerator,
    countsInstructions,
    gpu,
    shares,
    userland,
    isReadable: kernel.debugModules !== undefined,
    kernelArgs: [...flavourKernelArgs(kernel.flavour), ...kernelArgs],
    files: { kernel: kernel.image, firmware: qemu.firmware, ...own },
  };
}

async function replayable(hardware: Hardware, { profile, software }: VmSpec, folder: VmFolder): Promise<Hardware> {
  const replay = qemuArguments({ ...hardware, channels: { kind: 'terminal' } });
  await folder.write('replay.sh', replayScript(software.qemu.binary, replay, profile.swap?.sizeMiB), 0o755);
  return hardware;
}

export function spawnQemu(
  { software, tracesDevice = false }: Pick<VmSpec, 'software' | 'tracesDevice'>,
  hardware: Hardware,
  folder: VmFolder,
): Promise<QemuProcess> {
  const channels: Channels = { kind: 'rig', monitorFd: channelFd(0), console: folder.consoleName };
  const deviceTrace = tracesDevice ? nextDeviceTrace(folder) : undefined;
  return QemuProcess.spawn(software.qemu.binary, qemuArguments({ ...hardware, channels, deviceTrace }), 1);
}

/** The guest's initrd, and behind it a segment of our own with the key that this run may log in with. */
async function writeInitrd(base: string, folder: VmFolder, key: SshKeyPair): Promise<string> {
  const image = await readFile(base).catch((cause: unknown) => {
    throw new RigError('infrastructure', `The guest's image can't be read: ${String(cause)}`, {
      remedy: 'It is part of the build cache: "./dgpu-rig build" makes it again.',
      cause,
    });
  });
  const segment = writeCpio([
    // The root of a tmpfs is writable by all, and then sshd trusts nothing below it.
    { kind: 'dir', path: '.' },
    { kind: 'dir', path: 'etc' },
    { kind: 'dir', path: 'etc/rig', mode: 0o700 },
    { kind: 'file', path: 'etc/rig/authorized_keys', data: Buffer.from(`${key.publicKey}\n`), mode: 0o600 },
  ]);
  // The kernel looks for the next segment at a multiple of four bytes.
  const padding = Buffer.alloc((4 - (image.length % 4)) % 4);
  return folder.write('initrd', Buffer.concat([image, padding, segment]), 0o600);
}

export function monitorOf({ channels: [monitor] }: QemuProcess): QemuProcess['channels'][number] {
  if (!monitor) throw new Error('QEMU was spawned without a channel for its monitor');
  return monitor;
}
