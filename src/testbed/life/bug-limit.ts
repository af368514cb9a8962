/**
 * A kernel bug ends its test soon. What a bug leaves behind often hangs, and nobody need wait for the limit of the
 * command that does: who is at work in the VM has a short time to end by itself, then what the guest does is written
 * down, and the VM is given up.
 */
import { RigError } from '../../util/rig-error.ts';
import type { KernelReport } from '../../vm/kernel-log/kernel-report.ts';
import type { Vm } from '../../vm/vm.ts';
import { provokedKinds, type Provoked } from './provoked.ts';

interface BugLimitOptions {
  readonly provokes: readonly Provoked[];
  readonly limitMs: number;
  /** Says what is going on. */
  readonly tell: (detail: string) => unknown;
}

type Witness = Pick<Vm, 'takeHangEvidence'>;

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
    if (severity !== 'bug' || provokedKinds(provokes).includes(kind) || this.#timer) return;
    tell(`its kernel reported a bug: it has ${String(Math.round(limitMs / 1000))} s to end`);
    this.#timer = setTimeout(() => void this.#giveUp(title), limitMs).unref();
  }

  /** The test has ended. */
  end(): void {
    clearTimeout(this.#timer);
  }

  async #giveUp(title: string): Promise<void> {
    this.#options.tell('taking evidence of a kernel bug');
    await this.#vm?.takeHangEvidence();
    this.#over.abort(new RigError('kernel', `The guest's kernel reported: ${title}`));
  }
}
