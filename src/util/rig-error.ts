/** The one error type for failures the rig expects; anything else thrown is a bug of the rig itself. */

export type FailureClass = 'test' | 'usage' | 'kernel' | 'infrastructure' | 'timeout';

/** Process exit code of each class of failure (DESIGN: "Exit codes"). */
export const EXIT_CODES: Readonly<Record<FailureClass, number>> = {
  test: 1,
  usage: 2,
  kernel: 3,
  infrastructure: 4,
  timeout: 5,
};

/** A failure told to a person: what failed and why (`message`), and what to do about it (`remedy`). */
export class RigError extends Error {
  override readonly name = 'RigError';
  readonly failureClass: FailureClass;
  readonly remedy: string | undefined;

  constructor(failureClass: FailureClass, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.failureClass = failureClass;
    this.remedy = options.remedy;
  }
}
