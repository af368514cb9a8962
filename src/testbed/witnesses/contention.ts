/**
 * How often a thread had to wait for a spinlock of TTM's LRU lists: counted by the kernel's own tracepoint. It sees who
 * queues for a lock; the first to wait for one only spins until it is free (kernel/locking/qspinlock.c, "pending"), and
 * goes uncounted. Zero therefore means that there never were three at a lock.
 */
import type { Guest } from '../guest/guest.ts';

/**
 * What a test overrides to have them counted: a kernel that knows that it is a guest doesn't queue for locks, but tries
 * again and again to take them, and no tracepoint tells (virt_spin_lock() in arch/x86/include/asm/paravirt-spinlock.h).
 * Not for measuring times: a queue stands still while a CPU of the guest that is in it has to wait for one of the
 * host's.
 */
export const COUNTED_LOCKS = { kernelArgs: ['clearcpuid=hypervisor'] };

const TRACING = '/sys/kernel/tracing';
const STATS = '/sys/kernel/debug/dri';

/** A tracepoint that doesn't count only tells of what is in its buffer: enough for all there is, and it says if not. */
const BUFFER_KB = 4096;

export async function startCounting(guest: Guest): Promise<void> {
  await guest.run(
    `grep -q " ${TRACING} " /proc/mounts || mount -t tracefs none ${TRACING}; cd ${TRACING} && echo 0 > tracing_on && ` +
      `echo ${String(BUFFER_KB)} > buffer_size_kb && echo > trace && echo 'flags & 1' > events/lock/contention_begin/filter && ` +
      'echo 1 > events/lock/contention_begin/enable && echo 1 > tracing_on',
  );
}

/** Since the start: waits for the LRU locks of the devices, and for any spinlock. */
export async function countWaits(guest: Guest): Promise<{ lru: number; any: number }> {
  const locks = await guest.run(`grep -h ^lru_lock: ${STATS}/*/stats | sort -u`);
  const addresses = locks
    .trim()
    .split('\n')
    .map((line) => line.replace('lru_lock: ', '').trim());
  const patterns = addresses.map((address) => `-e ${address}`).join(' ');
  const counted = await guest.run(
    `cd ${TRACING} && echo 0 > events/lock/contention_begin/enable && ` +
      `{ grep -c contention_begin trace; grep contention_begin trace | grep -c ${patterns}; true; }`,
  );
  const [any = 0, lru = 0] = counted.trim().split('\n').map(Number);
  return { lru, any };
}
