/** The guest's user land as a test sees it: commands that must succeed, and the numbers its kernel keeps. */
import { RigError } from '../util/rig-error.ts';
import type { CommandResult } from '../vm/ssh-session.ts';
import type { Vm } from '../vm/vm.ts';
import { parseVmstat, parseZoneInfo, type Zone } from './proc-files.ts';

export class Guest {
  readonly #vm: Vm;

  constructor(vm: Vm) {
    this.#vm = vm;
  }

  /** Any exit code is a result. */
  exec(command: string, options: { deadlineMs?: number } = {}): Promise<CommandResult> {
    return this.#vm.exec(command, options);
  }

  /** Standard output of a command that has to succeed. */
  async run(command: string, options: { deadlineMs?: number } = {}): Promise<string> {
    const { exitCode, signal, stdout, stderr } = await this.exec(command, options);
    if (exitCode === 0) return stdout;
    const how = signal ?? `exit code ${String(exitCode)}`;
    throw new RigError('test', `"${command}" failed in the guest with ${how}: ${(stderr || stdout).trim()}`);
  }

  read(path: string): Promise<string> {
    return this.run(`cat ${path}`);
  }

  async vmstat(): Promise<ReadonlyMap<string, number>> {
    return parseVmstat(await this.read('/proc/vmstat'));
  }

  async zones(): Promise<Zone[]> {
    return parseZoneInfo(await this.read('/proc/zoneinfo'));
  }

  /** Most bounce buffer slots ever in use since boot: 0 if and only if nothing was ever bounced. */
  async swiotlbHighWater(): Promise<number> {
    return Number(await this.read('/sys/kernel/debug/swiotlb/io_tlb_used_hiwater'));
  }
}
