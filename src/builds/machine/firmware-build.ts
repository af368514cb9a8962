/** Firmware for the machine: SeaBIOS with our fixes, and beside it the option ROMs that Debian built. */

import { copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';

import { repositoryPath } from '../../config/paths.ts';
import type { Emit } from '../../util/rig-event.ts';
import { runBuildCommand } from '../tree/build-command.ts';
import { toolchainIdentity } from '../tree/build-environment.ts';
import { obtainEntry } from '../../cache/cache-entry.ts';
import type { EntryWork } from '../../cache/cache-entry.ts';
import { contentKey, folderKey } from '../../cache/content-key.ts';
import { extractDeb } from '../debian/debian-packages.ts';
import type { DebianPackage, DebianPackages } from '../debian/debian-packages.ts';
import { applyPatch, readSeries } from '../tree/patch-series.ts';

const PATCHES = repositoryPath('rig/seabios');

/** As Debian builds bios-256k.bin, the one that QEMU loads for q35. */
const SEABIOS_CONFIG = 'CONFIG_QEMU=y\nCONFIG_ROM_SIZE=256\n';

const OPTION_ROMS = /^(kvmvapic|linuxboot|linuxboot_dma|multiboot|multiboot_dma|pvh)\.bin$/;

/** Folders for QEMU's -L, in the order in which it shall search them. */
export async function buildFirmware(packages: DebianPackages, emit: Emit, signal: AbortSignal): Promise<string[]> {
  const seabios = await packages.source('seabios');
  const key = contentKey({
    source: seabios.identity,
    blobs: packages.binaries['qemu-system-data'].identity,
    patches: await folderKey(PATCHES, (file) => file.endsWith('.patch')),
    config: SEABIOS_CONFIG,
    toolchain: await toolchainIdentity(),
  });
  const build = async (work: EntryWork): Promise<void> => {
    await buildSeabios(seabios, work);
    await collectOptionRoms(packages, work);
  };
  const folder = await obtainEntry({ stage: 'firmware', title: 'Build SeaBIOS', key, build }, emit, signal);
  return [path.join(folder, 'rig'), path.join(folder, 'debian')];
}

async function buildSeabios(seabios: DebianPackage, { folder, step, signal, log }: EntryWork): Promise<void> {
  const source = path.join(folder, 'source');
  const output = path.join(folder, 'output');
  step.progress('unpacking');
  const unpack = ['dpkg-source', '--no-copy', '-x', seabios.file, source] as const;
  await runBuildCommand({ what: 'Unpacking the source of SeaBIOS', argv: unpack, cwd: folder, log, signal });
  const tree = { title: `SeaBIOS ${seabios.version}`, misfit: 'infrastructure' } as const;
  for (const patch of await readSeries(PATCHES)) await applyPatch(patch, source, tree);
  await mkdir(output);
  const config = path.join(output, '.config');
  await writeFile(config, SEABIOS_CONFIG);
  step.progress('compiling');
  const variables = ['PYTHON=python3', `OUT=${output}/`, `KCONFIG_CONFIG=${config}`, 'EXTRAVERSION=-dgpu-rig'];
  for (const target of ['olddefconfig', path.join(output, 'bios.bin')]) {
    const argv = ['make', `-j${availableParallelism()}`, ...variables, target] as const;
    await runBuildCommand({ what: 'Building SeaBIOS', argv, cwd: source, log, signal });
  }
  await mkdir(path.join(folder, 'rig'));
  await rename(path.join(output, 'bios.bin'), path.join(folder, 'rig/bios-256k.bin'));
  await rm(source, { recursive: true });
  await rm(output, { recursive: true });
}

async function collectOptionRoms(packages: DebianPackages, work: EntryWork): Promise<void> {
  const scratch = path.join(work.folder, 'scratch');
  const target = path.join(work.folder, 'debian');
  await mkdir(scratch);
  await mkdir(target);
  await extractDeb(packages.binaries['qemu-system-data'].file, scratch, work);
  const blobs = path.join(scratch, 'usr/share/qemu');
  for (const name of (await readdir(blobs)).filter((file) => OPTION_ROMS.test(file))) {
    await copyFile(path.join(blobs, name), path.join(target, name));
  }
  await rm(scratch, { recursive: true });
}
