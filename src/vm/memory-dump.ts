/**
 * The memory of a guest that hangs or has died, as a file that debuggers read: ELF, since the bitmap of the other
 * formats has a bit for every page up to the highest address, which the guest has at 256 TiB.
 */
import { rm, statfs, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { z } from 'zod';
import type { MachineProfile } from '../config/machine-profile.ts';
import { GPU_MEMORY } from '../config/gpu-memory.ts';
import type { VmFolder } from './vm-folder.ts';

/** In the artifacts. */
export const DUMP_FILE = 'memory.elf';
/** Beside it: what has its symbols, or why there is none. */
export const DUMP_RECORD = 'memory.json';

export const dumpRecord = z.union([
  z.strictObject({ vmlinux: z.string(), modules: z.string() }),
  z.strictObject({ refused: z.string() }),
]);

/** Of the kernel that runs in the guest, with debug information. */
export interface DumpSymbols {
  readonly vmlinux: string;
  readonly modules: string;
}

/** A larger guest is not dumped. */
const MOST_MIB = 4096;
/** Of the disk that is left to others. */
const RESERVE_MIB = 2048;

interface DumpRequest {
  readonly folder: VmFolder;
  readonly profile: MachineProfile;
  readonly symbols: DumpSymbols;
  /** Has QEMU write it to this file; returns when it is complete. */
  readonly dump: (file: string) => Promise<unknown>;
}

/** Never fails: what the VM has failed with is the failure. */
export async function dumpMemory({ folder, profile, symbols, dump }: DumpRequest): Promise<void> {
  const file = folder.file(DUMP_FILE);
  try {
    const refused = (await refusal(folder.path, memoryMiB(profile))) ?? (await writeSparse(file, dump));
    if (refused !== undefined) await rm(file, { force: true });
    const record: z.infer<typeof dumpRecord> = refused === undefined ? symbols : { refused };
    await writeFile(folder.file(DUMP_RECORD), `${JSON.stringify(record)}\n`);
  } catch {
    await rm(file, { force: true }).catch(() => undefined);
  }
}

function memoryMiB({ memory, devices }: MachineProfile): number {
  const dimms = memory.dimms.reduce((sum, { sizeMiB }) => sum + sizeMiB, 0);
  return memory.boot.sizeMiB + dimms + devices * GPU_MEMORY.vramMiB;
}

/** Why there is not to be a dump of so much memory. */
async function refusal(folder: string, mib: number): Promise<string | undefined> {
  if (mib > MOST_MIB)
    return `the guest has ${String(mib)} MiB of memory, and the most that is dumped are ${String(MOST_MIB)}`;
  const { bavail, bsize } = await statfs(folder);
  const free = Math.floor((bavail * bsize) / 2 ** 20);
  if (free >= mib + RESERVE_MIB) return undefined;
  return `the disk has ${String(free)} MiB free, and it would take up to ${String(mib)}, with ${String(RESERVE_MIB)} left`;
}

/** QEMU writes every page; those that are empty are most of many guests, and need no place on the disk. */
async function writeSparse(file: string, dump: DumpRequest['dump']): Promise<string | undefined> {
  const fifo = `${file}.fifo`;
  await rm(fifo, { force: true });
  await execa('mkfifo', ['-m', '600', fifo]);
  const done = new AbortController();
  const options = ['ibs=64k', 'obs=4k', 'iflag=fullblock', 'conv=sparse', 'status=none'];
  const copy = execa('dd', [`if=${fifo}`, `of=${file}`, ...options], { reject: false, cancelSignal: done.signal });
  try {
    await dump(fifo);
    const { exitCode, stderr } = await copy;
    return exitCode === 0 ? undefined : stderr.trim();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    done.abort();
    await rm(fifo, { force: true });
  }
}
