/**
 * What is open while something is built or used, and is closed again whatever fails: in reverse order, each part once.
 */

export class ClosingScope {
  readonly #closings: (() => unknown)[] = [];

  /** `close` is called when the scope ends. */
  defer(close: () => unknown): void {
    this.#closings.push(close);
  }

  /** What has been built is complete: from now on it is for its owner to close. */
  release(): void {
    this.#closings.length = 0;
  }

  /** One part that can't be closed keeps none of the others open; the first such failure is thrown. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const close of this.#closings.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

/** A failure of `work` is the cause, and is thrown; those of closing are its consequences. */
export async function inScope<T>(work: (scope: ClosingScope) => Promise<T>): Promise<T> {
  const scope = new ClosingScope();
  let result: T;
  try {
    result = await work(scope);
  } catch (error) {
    await scope.close().catch(() => undefined);
    throw error;
  }
  await scope.close();
  return result;
}
