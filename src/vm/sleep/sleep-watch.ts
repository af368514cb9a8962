/**
 * Whoever sleeps can't say that it hangs. So this follows the console, and gives every stage a limit of its own: when
 * one is over it, what all CPUs and tasks are doing is dumped before the VM is given up.
 */
import { onAbort } from '../../util/on-abort.ts';
import { RigError } from '../../util/rig-error.ts';
import { StageClock } from './sleep-stages.ts';
import type { CommandResult } from '../link/ssh-session.ts';

/** What a sleep needs of the VM. */
export interface SleepingMachine {
  /** The limit of a stage that needs no patience. */
  readonly stageLimitMs: number;
  /** Aborted when the VM dies. */
  readonly signal: AbortSignal;
  /** How often the guest has switched itself off. */
  readonly powerOffs: number;
  run(command: string): Promise<CommandResult>;
  eventCount(name: string): number;
  nextEvent(name: string): Promise<void>;
  /** Every line of the console from now on; returns the way to stop. */
  onLine(listener: (line: string) => void): () => void;
  /** Sends it to the guest's serial port. */
  type(text: string): void;
  wake(): Promise<void>;
  poweredOff(): Promise<void>;
  /** A new machine on the same disk. */
  startAgain(): Promise<void>;
  /** Resolves when commands can be run again. */
  ready(): Promise<void>;
  /** Never rejects. */
  takeHangEvidence(): Promise<void>;
}

const AWAKE = /RIG-AWAKE (\d+) ?(.*)$/;
const BOOTED_AFRESH = 'RIG-READY ';
const CHECK_MS = 250;

interface SleepWatchOptions {
  readonly onStage?: (stage: string) => Promise<void> | void;
  readonly stageLimitMs?: number;
}

export class SleepWatch {
  readonly clock = new StageClock();
  /** The kernel's refusal, or undefined if it slept; rejects if the guest hangs or dies. */
  readonly awake: Promise<string | undefined>;
  readonly #machine: SleepingMachine;
  readonly #onStage: SleepWatchOptions['onStage'];
  readonly #stageLimitMs: number;
  readonly #waiting = new Map<string, () => void>();
  readonly #timer: NodeJS.Timeout;
  readonly #stopListening: () => void;
  readonly #stopHearingOfDeath: () => void;
  #wakeUp: (refusal: string | undefined) => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;
  #hung = false;

  constructor(machine: SleepingMachine, { onStage, stageLimitMs = machine.stageLimitMs }: SleepWatchOptions) {
    this.#machine = machine;
    this.#onStage = onStage;
    this.#stageLimitMs = stageLimitMs;
    this.awake = new Promise((resolve, reject) => {
      this.#wakeUp = resolve;
      this.#fail = reject;
    });
    this.awake.catch(() => undefined);
    this.#stopListening = machine.onLine((line) => this.#hear(line));
    this.#timer = setInterval(() => void this.#checkTime(), CHECK_MS);
    this.#stopHearingOfDeath = onAbort(machine.signal, (reason) => this.#fail(reason));
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopListening();
    this.#stopHearingOfDeath();
  }

  async enter(stage: string): Promise<void> {
    this.clock.enter(stage);
    this.#waiting.get(stage)?.();
    await this.#onStage?.(stage);
  }

  /** Resolves when this stage begins. */
  stage(name: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(name, resolve));
  }

  /** Did `event` come before `end`? */
  before(end: Promise<unknown>, event: Promise<void>): Promise<boolean> {
    return Promise.race([end.then(() => false), event.then(() => true)]);
  }

  #hear(line: string): void {
    const [awake, status, said = ''] = AWAKE.exec(line) ?? [];
    if (awake !== undefined) {
      this.#wakeUp(status === '0' ? undefined : said.trim());
      this.clock.enter('awake');
    } else if (line.includes(BOOTED_AFRESH)) {
      this.#fail(new RigError('test', 'The guest did not resume from its disk: it has booted afresh.'));
    } else {
      const stage = this.clock.stageOf(line);
      if (stage !== undefined && stage !== this.clock.stage)
        this.enter(stage).catch((error: unknown) => this.#fail(error));
    }
  }

  async #checkTime(): Promise<void> {
    const limitMs = this.#stageLimitMs * this.clock.patience;
    if (this.#hung || this.clock.lastedMs < limitMs || this.clock.stage === 'awake') return;
    this.#hung = true;
    const { stage } = this.clock;
    await this.#machine.takeHangEvidence();
    this.#fail(new RigError('timeout', `The guest hangs in stage "${stage}": over ${String(limitMs / 1000)} s.`));
  }
}
