/** An error as a person is told of it: what failed, why, and what to do; of one that nobody expected also where. */
import { RigError } from '../util/rig-error.ts';

export function errorText(error: unknown): string {
  if (error instanceof RigError)
    return error.remedy === undefined ? error.message : `${error.message}\n  ${error.remedy}`;
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `this is a bug of the rig itself, please report it.\n${what}`;
}
