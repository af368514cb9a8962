/** From a fresh machine to a built rig: everything that a VM needs, built once and then found in the cache. */

import type { Flavour, KernelVariant } from '../config/flavour.ts';
import { allOrAbort } from '../util/all-or-abort.ts';
import type { Emit } from '../util/rig-event.ts';
import { fetchDebianPackages } from './debian/debian-packages.ts';
import type { DebianPackages } from './debian/debian-packages.ts';
import { buildFirmware } from './machine/firmware-build.ts';
import { SOURCES } from './debian/package-sources.ts';
import type { SourceName } from './debian/package-sources.ts';
import { buildGuestImage } from './guest/guest-image.ts';
import { prepareHost } from './debian/host.ts';
import { buildKernel } from './kernel/kernel-build.ts';
import type { KernelBuild, KernelRequest } from './kernel/kernel-build.ts';
import { readUserConfig } from './kernel/user-config.ts';
import { readPatches } from './tree/patch-series.ts';
import { checkKernelTree, openKernelSource } from './kernel/kernel-source.ts';
import { buildQemu, checkQemuTree } from './machine/qemu-build.ts';
import type { QemuBuild, QemuVariant } from './machine/qemu-build.ts';

export interface RigBuild {
  readonly qemu: QemuBuild & {
    /** Folders for -L, ours first. */
    readonly firmware: readonly string[];
  };
  readonly kernel: KernelBuild;
  /** A gzipped cpio archive, padded so that another one may follow. */
  readonly initrd: string;
  /** SHA-256 of the packages that were built; none for a tree of the user's own. */
  readonly sources: SourceHashes;
}

type SourceHashes = Readonly<Partial<Record<SourceName, string>>>;

interface BuildOptions {
  /** Another tree than Debian's package; it is not written to. */
  readonly kernelSource?: string;
  readonly qemu?: QemuVariant;
  readonly flavour: Flavour;
  readonly variant?: KernelVariant;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export async function buildRig({
  kernelSource,
  flavour,
  variant = {},
  qemu: qemuVariant = {},
  emit,
  signal,
}: BuildOptions): Promise<RigBuild> {
  await checkKernelTree(kernelSource);
  await readUserConfig(variant.kconfig ?? []);
  await readPatches(variant.patches ?? []);
  await checkQemuTree(qemuVariant.source);
  await prepareHost(emit, signal);
  const packages = await fetchDebianPackages(emit, signal);
  const source = await openKernelSource(kernelSource, packages);
  const needed = { linux: kernelSource === undefined, qemu: qemuVariant.source === undefined, seabios: true };
  const sources = await fetchSources(packages, needed);
  // Each of them keeps all CPUs busy for most of its time; together they also fill the other's pauses.
  const [{ kernel, initrd }, qemu, firmware] = await allOrAbort(signal, [
    async (shared) => buildGuest({ packages, source, flavour, variant }, emit, shared),
    async (shared) => buildQemu({ packages, variant: qemuVariant }, emit, shared),
    async (shared) => buildFirmware(packages, emit, shared),
  ]);
  return { qemu: { ...qemu, firmware }, kernel, initrd, sources };
}

/** All that is not there is missed here, before anything is compiled. */
async function fetchSources(
  packages: DebianPackages,
  needed: Readonly<Record<SourceName, boolean>>,
): Promise<SourceHashes> {
  const hashes: Partial<Record<SourceName, string>> = {};
  for (const name of SOURCES) if (needed[name]) hashes[name] = (await packages.source(name)).identity;
  return hashes;
}

interface GuestInput extends KernelRequest {
  readonly packages: DebianPackages;
}

async function buildGuest({ packages, ...request }: GuestInput, emit: Emit, signal: AbortSignal): Promise<Guest> {
  const kernel = await buildKernel(request, emit, signal);
  return { kernel, initrd: await buildGuestImage({ packages, kernel }, emit, signal) };
}

type Guest = Pick<RigBuild, 'kernel' | 'initrd'>;
