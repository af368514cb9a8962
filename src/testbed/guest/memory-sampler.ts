/** The guest's memory over time: one background command in it, one short line of numbers each second. */
import type { Vm } from '../../vm/vm.ts';
import type { MemorySample } from '../../plan/rig-context.ts';

const PAGE_SIZE = 4096;

/** A folder that is there while a sample is taken, or while none may be. */
const LOCK = '/run/memory-sample';

/** Five processes a second, and none of them writes to a disk: what they disturb is not seen. */
const SAMPLE =
  `while sleep 1; do echo @; mkdir ${LOCK} 2> /dev/null || continue; ` +
  "grep -hsE '^(MemAvailable|SwapTotal|SwapFree|Shmem):|^pswp(in|out) |^ *usage:|^pinned_pages:' " +
  `/proc/meminfo /proc/vmstat /sys/kernel/debug/dri/*/vram /sys/kernel/debug/dri/*/stats; rmdir ${LOCK}; done`;

/** As a shell command that takes a driver away: a file of its debugfs that is open would keep its module loaded. */
export function whileNotSampling(command: string): string {
  return `until mkdir ${LOCK} 2> /dev/null; do sleep 0.1; done; ${command}; status=$?; rmdir ${LOCK}; exit $status`;
}

/** Adds to `samples` until the SSH session ends, which it also does in S4, or the command is killed. */
export function sampleMemory(vm: Vm, samples: MemorySample[]): void {
  const start = performance.now();
  let block: string[] = [];
  vm.session().follow(SAMPLE, (line) => {
    if (line !== '@') {
      block.push(line);
      return;
    }
    const sample = parseSample(block.join('\n'), Math.round(performance.now() - start));
    if (sample) samples.push(sample);
    block = [];
  });
}

export function parseSample(text: string, timeMs: number): MemorySample | undefined {
  const numbers = new Map<string, number>();
  // The VRAM manager's debugfs file comes once for each name of the device.
  for (const [, name = '', value] of text.matchAll(/^ *(\w+):? +(\d+)/gm)) numbers.set(name, Number(value));
  const available = numbers.get('MemAvailable');
  if (available === undefined) return undefined;
  const number = (name: string): number => numbers.get(name) ?? 0;
  return {
    timeMs,
    available: available * 1024,
    swapUsed: (number('SwapTotal') - number('SwapFree')) * 1024,
    shmem: number('Shmem') * 1024,
    swappedOut: number('pswpout') * PAGE_SIZE,
    swappedIn: number('pswpin') * PAGE_SIZE,
    ...(numbers.has('usage') ? { vram: number('usage') } : {}),
    ...(numbers.has('pinned_pages') ? { gtt: number('pinned_pages') * PAGE_SIZE } : {}),
  };
}
