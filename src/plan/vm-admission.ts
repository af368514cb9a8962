/** How many VMs at the same time: by the host's processors, and for each by what memory there is when it is to start. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineProfile } from '../config/machine-profile.ts';
import { GPU_MEMORY } from '../config/gpu-memory.ts';

const MIB = 2 ** 20;

/** QEMU itself, with what TCG translates. */
const QEMU_BYTES = 400 * MIB;
/** Of what the host has, this part is left to whoever else is at work. */
const RESERVE = 0.1;
const POLL_MS = 500;

/** A VM keeps about two host processors busy under TCG; memory is looked at when one is to start. */
export function defaultMaxVms(processors = availableParallelism()): number {
  return Math.max(1, Math.floor(processors / 2));
}

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
export interface Room {
  readonly bytes: number;
  /** Whoever uses it, so that what that one has already is not counted twice. */
  pid: number | undefined;
}

const rooms = new Set<Room>();

/** Waits until the host has the memory; the first VM never waits. */
export async function takeRoom(profile: MachineProfile, vramMiB: number, signal: AbortSignal): Promise<Room> {
  const bytes = footprint(profile, vramMiB);
  const inUse = (): { bytes: number; resident: number }[] =>
    [...rooms].map((room) => ({ bytes: room.bytes, resident: residentBytes(room.pid) }));
  while (!fits(bytes, inUse(), availableBytes())) await sleep(POLL_MS, undefined, { signal });
  const room: Room = { bytes, pid: undefined };
  rooms.add(room);
  return room;
}

export function leaveRoom(room: Room): void {
  rooms.delete(room);
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
