/** The one error type for failures the rig expects; anything else thrown is a bug of the rig itself. */

export type FailureClass = 'test' | 'usage' | 'kernel' | 'infrastructure' | 'timeout';

/** The exit code of the process for each class of failure; docs/results.md has them for users. */
export const EXIT_CODES: Readonly<Record<FailureClass, number>> = {
  test: 1,
  usage: 2,
  kernel: 3,
  infrastructure: 4,
  timeout: 5,
};

/** Of a run that was ended by a signal, whatever it had judged by then: as a shell has it for SIGINT. */
export const INTERRUPTED_EXIT_CODE = 130;

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
