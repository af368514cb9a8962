/** A folder of the host that a guest sees, read-only. */

export interface Share {
  /** On the host. */
  readonly folder: string;
  /** In the guest. */
  readonly at: string;
}

/** As a person gives it: without a place it has a usual one. */
export interface AskedShare {
  readonly folder: string;
  readonly at?: string;
}

/** "DIR" or "DIR:/where" */
export function parseShare(text: string): AskedShare | undefined {
  const [, folder, at] = /^([^:]+)(?::([^:]+))?$/.exec(text) ?? [];
  if (folder === undefined) return undefined;
  return { folder, ...(at === undefined ? {} : { at }) };
}
