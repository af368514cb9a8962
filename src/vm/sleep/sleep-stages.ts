/** The stages of a suspend and of a resume, as the kernel announces them on the console, and how long each took. */

export type SleepState = 's2idle' | 's3' | 's4';

interface StageMark {
  /** What begins with the line. */
  readonly name: string;
  readonly line: RegExp;
  /** How much longer than others it may take. */
  readonly patience?: number;
}

/**
 * They are in the kernel's own order, which differs between suspend and hibernation. Some lines need
 * /sys/power/pm_debug_messages.
 */
const MARKS: readonly StageMark[] = [
  { name: 'sync', line: /PM: suspend entry/ },
  // Notifiers come next: drivers save VRAM there, and may have to wait until other things are written to swap.
  { name: 'prepare', line: /Filesystems sync: |PM: hibernation: hibernation entry/, patience: 8 },
  { name: 'freeze', line: /Freezing user space processes$/, patience: 3 },
  { name: 'image-allocate', line: /Preallocating image memory/, patience: 6 },
  { name: 'suspend-devices', line: /GFP mask restricted/ },
  { name: 'platform', line: /Preparing to enter system sleep state S[34]/ },
  { name: 'cpus-down', line: /Disabling non-boot CPUs/ },
  { name: 'asleep', line: /PM: suspend-to-idle/ },
  { name: 'wake-up', line: /Low-level resume complete|PM: resume from suspend-to-idle/ },
  { name: 'cpus-up', line: /Enabling non-boot CPUs/ },
  { name: 'resume-devices', line: /Waking up from system sleep state|PM: noirq (thaw|restore|recover) of devices/ },
  { name: 'image-write', line: /PM: Using \d+ thread\(s\) for \w+ compression/, patience: 8 },
  { name: 'power-off', line: /PM: Image saving done/ },
  { name: 'image-read', line: /PM: Using \d+ thread\(s\) for \w+ decompression/, patience: 8 },
  { name: 'restore', line: /PM: Image loading done/ },
  { name: 'thaw', line: /Restarting tasks: Starting/ },
  // Notifiers again: drivers bring VRAM back.
  { name: 'complete', line: /Restarting tasks: Done/, patience: 8 },
  { name: 'done', line: /PM: suspend exit|PM: hibernation: hibernation exit/ },
];

/** One stage after the other; one that is entered twice is in the list twice. */
interface StageTime {
  readonly name: string;
  /** By the host's clock, from the announcement of this stage to that of the next. */
  readonly durationMs: number;
}

/** What every test of a suspend leaves for the report. */
export interface SleepRecord {
  readonly state: SleepState;
  /** freezer, devices, …: the kernel went no further than that, on request. */
  readonly pmTest?: string;
  /** The kernel's refusal, if it did not sleep. */
  readonly refusal?: string;
  readonly stages: readonly StageTime[];
  readonly totalMs: number;
}

/** Keeps the time of the stages. */
export class StageClock {
  readonly #startedAt = performance.now();
  readonly #stages: StageTime[] = [];
  #stage = 'request';
  #since = this.#startedAt;

  get stage(): string {
    return this.#stage;
  }

  /** How long this stage has lasted so far. */
  get lastedMs(): number {
    return performance.now() - this.#since;
  }

  /** How many times the usual limit it may last. */
  get patience(): number {
    // A whole boot, up to where the image is read.
    if (this.#stage === 'boot') return 4;
    return MARKS.find(({ name }) => name === this.#stage)?.patience ?? 1;
  }

  /** The stages that are over. */
  get stages(): readonly StageTime[] {
    return this.#stages;
  }

  get totalMs(): number {
    return this.#since - this.#startedAt;
  }

  /** The stage that a line of the console announces. */
  stageOf(line: string): string | undefined {
    return MARKS.find((mark) => mark.line.test(line))?.name;
  }

  enter(name: string): void {
    this.#stages.push({ name: this.#stage, durationMs: Math.round(this.lastedMs) });
    this.#stage = name;
    this.#since = performance.now();
  }
}
