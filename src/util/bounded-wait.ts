/** Every wait of the rig ends: with its result, with the reason of an abort, or at a deadline. */
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
  // Whoever loses the race below must not become an unhandled rejection.
  promise.catch(() => undefined);
  signal.throwIfAborted();
  let onAbort: () => void = () => undefined;
  let timer: NodeJS.Timeout | undefined;
  const bound = new Promise<never>((_, reject) => {
    onAbort = () => reject(abortReason(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    timer = setTimeout(() => reject(lateError(what, deadlineMs)), deadlineMs);
  });
  try {
    return await Promise.race([promise, bound]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

function lateError(what: string, deadlineMs: number): RigError {
  return new RigError('timeout', `${what} did not end within ${String(deadlineMs / 1000)} s.`);
}

function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason));
}
