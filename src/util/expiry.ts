/** Excuses that end: what is known to be wrong has a last day, so that somebody looks at it again. */

export interface Excuse {
  readonly reason: string;
  /** Last day, as 2027-01-31. */
  readonly until: string;
}

/** Not a date at all is never: an excuse that can't expire is not one. */
export function holds({ until }: Excuse, now: Date): boolean {
  return now <= new Date(`${until}T23:59:59Z`);
}
