/** Listens to an AbortSignal without a gap: an abort that came before the listener is heard, too. */

/**
 * Calls `listener` once with the reason of the abort: right away if the signal is aborted already. Returns the way to
 * stop listening, which is to be used as soon as the abort no longer matters, for signals outlive what listens to them.
 */
export function onAbort(signal: AbortSignal, listener: (reason: Error) => void): () => void {
  const listen = (): void => listener(abortReason(signal));
  if (signal.aborted) {
    listen();
    return () => undefined;
  }
  signal.addEventListener('abort', listen, { once: true });
  return () => signal.removeEventListener('abort', listen);
}

/** The outcome of `promise`, or the reason of an abort, whichever comes first. */
export async function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Who loses the race must not become an unhandled rejection.
  promise.catch(() => undefined);
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => (stop = onAbort(signal, reject)));
  try {
    return await Promise.race([aborted, promise]);
  } finally {
    stop();
  }
}

function abortReason({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
