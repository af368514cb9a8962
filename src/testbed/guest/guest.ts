/** The guest's user land as a test sees it: commands that must succeed, and the numbers its kernel keeps. */
import { RigError } from '../../util/rig-error.ts';
import type { CommandResult } from '../../vm/link/ssh-session.ts';
import type { Vm } from '../../vm/vm.ts';
import {
  parseMeminfo,
  parseNodeMeminfo,
  parseRamRanges,
  parseVmstat,
  parseZoneInfo,
  type RamRange,
  type Zone,
} from './proc-files.ts';

const BACKGROUND_DEADLINE_MS = 300_000;

export class Guest {
  readonly #vm: Vm;
  #started = 0;

  constructor(vm: Vm) {
    this.#vm = vm;
  }

  /** Any exit code is a result. */
  exec(command: string, options: { deadlineMs?: number } = {}): Promise<CommandResult> {
    return this.#vm.exec(command, options);
  }

  /** Standard output of a command that has to succeed. */
  async run(command: string, options: { deadlineMs?: number } = {}): Promise<string> {
    const result = await this.exec(command, options);
    if (result.exitCode === 0) return result.stdout;
    throw new RigError('test', commandFailure(command, result));
  }

  /** Starts a program that goes on; returns as soon as it has said a certain word. */
  async runInBackground(command: string, { until }: { until: string }): Promise<void> {
    const said = `/run/background-${String(++this.#started)}.log`;
    // Asked in this order, a program that ends right after its word has said it by the time of the look at its log.
    const begun = `kill -0 $! 2> /dev/null; ended=$?; grep -qs ${until} ${said}`;
    await this.run(
      `${command} > ${said} 2>&1 & until ${begun}; do [ $ended = 0 ] || { cat ${said}; exit 1; }; sleep 0.2; done`,
      { deadlineMs: BACKGROUND_DEADLINE_MS },
    );
  }

  /** Ends every program of this name; returns when its memory is free. */
  async killAll(program: string): Promise<void> {
    await this.run(`killall -KILL ${program} && while pidof ${program}; do sleep 0.1; done`);
  }

  read(path: string): Promise<string> {
    return this.run(`cat ${path}`);
  }

  async vmstat(): Promise<ReadonlyMap<string, number>> {
    return parseVmstat(await this.read('/proc/vmstat'));
  }

  async meminfo(): Promise<ReadonlyMap<string, number>> {
    return parseMeminfo(await this.read('/proc/meminfo'));
  }

  /** What each node has of something: bytes, from the first node on. */
  async nodeMeminfo(name: string): Promise<number[]> {
    return parseNodeMeminfo(await this.run('cat /sys/devices/system/node/node?/meminfo'), name);
  }

  async zones(): Promise<Zone[]> {
    return parseZoneInfo(await this.read('/proc/zoneinfo'));
  }

  async ram(): Promise<RamRange[]> {
    return parseRamRanges(await this.read('/proc/iomem'));
  }

  /** Most bounce buffer slots ever in use since boot: 0 if and only if nothing was ever bounced. */
  async swiotlbHighWater(): Promise<number> {
    // With all RAM within 4 GiB, or behind an IOMMU, the kernel keeps no buffers: nothing can bounce then.
    const counters = '/sys/kernel/debug/swiotlb';
    return Number(
      await this.run(`test -e ${counters}/io_tlb_nslabs || exec echo 0; cat ${counters}/io_tlb_used_hiwater`),
    );
  }

  /** Is swap compressed into RAM? Then it makes no room for what doesn't compress. */
  async swapsIntoRam(): Promise<boolean> {
    return (await this.read('/proc/swaps')).includes('/zram');
  }

  /** Does an IOMMU translate what devices access? Then a limit on their addresses is none on memory. */
  async translatesDma(): Promise<boolean> {
    return (await this.run('ls /sys/kernel/iommu_groups')).trim() !== '';
  }
}

/** All that it said: a program may tell on standard output what it had done when it failed. */
export function commandFailure(command: string, { exitCode, signal, stdout, stderr }: CommandResult): string {
  const said = [stderr, stdout].map((text) => text.trim()).filter((text) => text !== '');
  const how = signal ?? `exit code ${String(exitCode)}`;
  return `"${command}" failed in the guest with ${how}: ${said.length === 0 ? 'it said nothing' : said.join('\n')}`;
}
