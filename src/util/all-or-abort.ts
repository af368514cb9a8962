/** Runs tasks at the same time; the first to fail ends the others, and all of them have ended when it returns. */

type Results<Tasks> = { -readonly [Index in keyof Tasks]: Tasks[Index] extends Task<infer T> ? T : never };

type Task<T> = (signal: AbortSignal) => Promise<T>;

export async function allOrAbort<const Tasks extends readonly Task<unknown>[]>(
  signal: AbortSignal,
  tasks: Tasks,
): Promise<Results<Tasks>> {
  const failure = new AbortController();
  const shared = AbortSignal.any([signal, failure.signal]);
  const results = await Promise.allSettled(
    tasks.map(async (task) => {
      try {
        return await task(shared);
      } catch (error) {
        failure.abort(error);
        throw error;
      }
    }),
  );
  // The first failure is the cause; those after it are its consequences.
  failure.signal.throwIfAborted();
  // All are fulfilled now; the compiler can't know that order and types are those of the tasks.
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])) as Results<Tasks>;
}
