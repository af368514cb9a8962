/**
 * How many VMs at the same time: by the host's processors, and for each by what memory there is when it is to start.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { MachineProfile } from '../config/machine-profile.ts';
import { GPU_MEMORY } from '../config/gpu-memory.ts';
import { cacheDirectory } from '../config/paths.ts';

const MIB = 2 ** 20;

/** QEMU itself, with what TCG translates. */
const QEMU_BYTES = 400 * MIB;
/** Of what the host has, this part is left to whoever else is at work. */
const RESERVE = 0.1;
const POLL_MS = 500;

/** The most that a VM of this machine can take of the host's memory. */
export function footprint({ memory, devices, swap }: MachineProfile, vramMiB: number = GPU_MEMORY.vramMiB): number {
  const ram = memory.boot.sizeMiB + memory.dimms.reduce((sum, { sizeMiB }) => sum + sizeMiB, 0);
  // What the guest swaps out is in a file that the host would rather keep in its page cache; that it can give up.
  const swapped = swap?.kind === 'disk' ? swap.sizeMiB / 8 : 0;
  return (ram + swapped + devices * vramMiB) * MIB + QEMU_BYTES;
}

/** Is there room for one more? Those that run have not taken all that they may take. */
export function fits(
  bytes: number,
  running: readonly { bytes: number; resident: number }[],
  available: number,
): boolean {
  const promised = running.reduce((sum, vm) => sum + Math.max(0, vm.bytes - vm.resident), 0);
  return running.length === 0 || available * (1 - RESERVE) - promised >= bytes;
}

/** Room on the host for one VM, from before it starts until after it has ended. */
interface Room {
  /** Says whose memory it is, so that what that process has already is not counted twice. */
  readonly usedBy: (pid: number) => void;
  readonly leave: () => void;
}

const claim = z.object({ bytes: z.number(), owner: z.number(), since: z.string(), pid: z.number().optional() });
type Claim = z.infer<typeof claim>;

/**
 * Waits until the host has the memory. Claims are files, since the tests of a run are in several processes, and another
 * rig may be at work beside it: whoever came first is served first, and whoever is alone never waits.
 */
export async function takeRoom(
  profile: MachineProfile,
  vramMiB: number,
  signal: AbortSignal,
  folder = path.join(cacheDirectory(), 'rooms'),
): Promise<Room> {
  const bytes = footprint(profile, vramMiB);
  mkdirSync(folder, { recursive: true });
  // Sorts by the time since the host was booted, which all processes share.
  const name = `${String(process.hrtime.bigint()).padStart(20, '0')}-${String(process.pid)}`;
  const file = path.join(folder, name);
  const own = { bytes, owner: process.pid, since: startTime(process.pid) ?? '' };
  const write = (pid?: number): void => {
    writeFileSync(`${file}.new`, JSON.stringify({ ...own, pid }));
    renameSync(`${file}.new`, file);
  };
  const leave = (): void => rmSync(file, { force: true });
  write();
  try {
    while (!fits(bytes, claimsBefore(folder, name), availableBytes())) await sleep(POLL_MS, undefined, { signal });
  } catch (error) {
    leave();
    throw error;
  }
  return { usedBy: write, leave };
}

/** What those who came earlier may take, and have; what a process left that is gone is removed. */
function claimsBefore(folder: string, name: string): { bytes: number; resident: number }[] {
  const names = readdirSync(folder).filter((other) => other < name && !other.endsWith('.new'));
  return names.flatMap((other) => {
    const file = path.join(folder, other);
    const found = readClaim(file);
    if (found === undefined) return [];
    if (startTime(found.owner) === found.since) return [{ bytes: found.bytes, resident: residentBytes(found.pid) }];
    rmSync(file, { force: true });
    return [];
  });
}

function readClaim(file: string): Claim | undefined {
  try {
    return claim.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined; // Its owner has just left.
  }
}

/** By which a process is told from a later one of the same number; undefined when there is none. */
function startTime(pid: number): string | undefined {
  try {
    // proc_pid_stat(5): field 22, counted from the end of the name in parentheses, which is field 2.
    return readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
      .split(') ')
      .at(-1)
      ?.split(' ')[19];
  } catch {
    return undefined;
  }
}

function residentBytes(pid: number | undefined): number {
  if (pid === undefined) return 0;
  try {
    return kilobytes(readFileSync(`/proc/${String(pid)}/status`, 'utf8'), 'RssAnon');
  } catch {
    return 0; // It has just ended.
  }
}

function availableBytes(): number {
  return kilobytes(readFileSync('/proc/meminfo', 'utf8'), 'MemAvailable');
}

function kilobytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
}
