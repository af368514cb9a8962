/** What happens in the cycles of the stress mode: random, and the same again from the same seed. */
import { randomNumbers } from '../../util/random.ts';
import type { PmTest, SleepOptions } from '../../vm/sleep/sleep.ts';
import type { SleepState } from '../../vm/sleep/sleep-stages.ts';

export interface SleepCycle {
  readonly state: SleepState;
  readonly options: SleepOptions;
  /** How long the guest is awake before. */
  readonly awakeMs: number;
  /** Everything is unloaded and loaded again before. */
  readonly reload: boolean;
}

/** Beyond it a timer of Node's is due at once: 24.8 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const DAY_MS = 24 * 3_600_000;

/**
 * Time enough for what is asked for; each cycle has limits of its own, and this one is for a test that waits for
 * something else.
 */
export function stressTimeout(durationMs = 0): number {
  return Math.min(durationMs + DAY_MS, LONGEST_TIMER_MS);
}

const PM_TESTS: readonly PmTest[] = ['freezer', 'devices', 'platform', 'processors', 'core'];

/** Most of them real; some only to s2idle, or turned round by the kernel half-way. */
export function* suspendCycles(seed: number): Generator<SleepCycle, never> {
  const random = randomNumbers(seed);
  for (;;) {
    const kind = random();
    const asleepMs = Math.floor(random() * 300);
    const awakeMs = Math.floor(random() * 400);
    const reload = random() < 0.02;
    const pmTest = PM_TESTS[Math.floor(random() * PM_TESTS.length)] ?? 'core';
    if (kind < 0.85) yield { state: 's3', options: { asleepMs }, awakeMs, reload };
    else if (kind < 0.92) yield { state: 's2idle', options: { asleepMs }, awakeMs, reload };
    else yield { state: 's3', options: { pmTest }, awakeMs, reload };
  }
}

export function* hibernateCycles(seed: number): Generator<SleepCycle, never> {
  const random = randomNumbers(seed);
  for (;;) {
    const powerOff = random() < 0.5 ? 'platform' : 'shutdown';
    const awakeMs = Math.floor(random() * 400);
    const reload = random() < 0.05;
    yield { state: 's4', options: { powerOff, asleepMs: 0 }, awakeMs, reload };
  }
}
