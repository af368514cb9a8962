/** One step of work as the event stream shows it: started once, ended once, whatever happens in between. */

import type { Emit } from './rig-event.ts';

export interface Step {
  readonly progress: (detail: string) => void;
}

/** `work` says whether it found its result in the cache. */
export interface StepResult<T> {
  readonly outcome: 'done' | 'cached';
  readonly value: T;
}

interface StepSpec {
  readonly id: string;
  readonly title: string;
  /** By which the work is told to end, and which it then ends by: it has not failed itself. */
  readonly signal: AbortSignal;
}

export async function runStep<T>(
  emit: Emit,
  { id, title, signal }: StepSpec,
  work: (step: Step) => Promise<StepResult<T>>,
): Promise<T> {
  const start = performance.now();
  const end = (outcome: 'done' | 'cached' | 'failed' | 'skipped'): void =>
    emit({ type: 'step-end', id, outcome, durationMs: performance.now() - start });
  emit({ type: 'step-start', id, title });
  try {
    const { outcome, value } = await work({ progress: (detail) => emit({ type: 'step-progress', id, detail }) });
    end(outcome);
    return value;
  } catch (error) {
    end(signal.aborted ? 'skipped' : 'failed');
    throw error;
  }
}
