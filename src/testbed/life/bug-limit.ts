/**
 * A kernel bug ends its test soon. What a bug leaves behind often hangs, and nobody need wait for the limit of the command that does: who is
 * at work in the VM has a short time to end by itself, then what the guest does is written down, and the VM is given up.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { RigError } from '../../util/rig-error.ts';
import type { KernelReportKind } from '../../vm/kernel-log/kernel-report-kinds.ts';
import type { KernelReport } from '../../vm/kernel-log/kernel-report.ts';
import type { Vm } from '../../vm/vm.ts';

export interface BugLimitOptions {
  /** Kinds of kernel reports that the test provokes. */
  readonly provokes: readonly KernelReportKind[];
  readonly limitMs: number;
  /** Says what is going on. */
  readonly tell: (detail: string) => unknown;
}

type Witness = Pick<Vm, 'qmp' | 'console' | 'folder'>;

export class BugLimit {
  readonly #options: BugLimitOptions;
  readonly #over = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #vm: Witness | undefined;

  constructor(options: BugLimitOptions) {
    this.#options = options;
  }

  /** For the VM: aborted when it is to be given up. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** The VM that is there by now. */
  watch(vm: Witness): void {
    this.#vm = vm;
  }

  /** To be called with each report of the VM's kernel, from its boot on. */
  heard({ severity, kind, title }: Pick<KernelReport, 'severity' | 'kind' | 'title'>): void {
    const { provokes, limitMs, tell } = this.#options;
    if (severity !== 'bug' || provokes.includes(kind) || this.#timer) return;
    tell(`its kernel reported a bug: it has ${String(Math.round(limitMs / 1000))} s to end`);
    this.#timer = setTimeout(() => void this.#giveUp(title), limitMs).unref();
  }

  /** The test has ended. */
  end(): void {
    clearTimeout(this.#timer);
  }

  async #giveUp(title: string): Promise<void> {
    this.#options.tell('taking evidence of a kernel bug');
    // A guest, or a QEMU, that does not answer is what the bug may have made of it.
    if (this.#vm) await takeEvidence(this.#vm).catch(() => undefined);
    this.#over.abort(new RigError('kernel', `The guest's kernel reported: ${title}`));
  }
}

/** Tasks that are blocked, then what each CPU does: the kernel's "magic system requests". */
const DUMPS = ['w', 'l'];
const DUMP_MS = 1000;

/** What the guest does, in its folder. */
async function takeEvidence(vm: Witness): Promise<void> {
  const registers = await vm.qmp('human-monitor-command', { 'command-line': 'info registers -a' }, z.string());
  await vm.folder.write('hang-registers.txt', registers);
  for (const key of DUMPS) {
    await vm.qmp('chardev-send-break', { id: 'console' }, z.unknown());
    vm.console.type(key);
    await sleep(DUMP_MS);
  }
}
