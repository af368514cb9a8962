/** Every wait of the rig ends: with its result, with the reason of an abort, or at a deadline. */
import { orAbort } from './on-abort.ts';
import { RigError } from './rig-error.ts';

export interface WaitBounds {
  /** Ends the wait; its reason is thrown. A VM's signal is aborted when its QEMU exits. */
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
}

/** Waits for `promise`; `what` names it in the sentence "… did not end within N s". */
export async function boundedWait<T>(
  what: string,
  promise: Promise<T>,
  { signal, deadlineMs }: WaitBounds,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(lateError(what, deadlineMs)), deadlineMs);
  });
  try {
    return await orAbort(Promise.race([promise, late]), signal);
  } finally {
    clearTimeout(timer);
  }
}

function lateError(what: string, deadlineMs: number): RigError {
  return new RigError('timeout', `${what} did not end within ${String(deadlineMs / 1000)} s.`);
}
