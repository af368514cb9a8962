/** One of several equal parts of a run, each of which may run on a host of its own. */

export interface Shard {
  /** From 1. */
  readonly index: number;
  readonly of: number;
}

/** "2/5": the second of five. */
export function parseShard(text: string): Shard | undefined {
  const [, index, of] = (/^(\d{1,4})\/(\d{1,4})$/.exec(text) ?? []).map(Number);
  if (index === undefined || of === undefined || index < 1 || index > of) return undefined;
  return { index, of };
}

export function shardName({ index, of }: Shard): string {
  return `${String(index)}/${String(of)}`;
}
