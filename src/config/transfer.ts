/** A copy from the host to the guest, or from the guest to the host. */

export interface Transfer {
  readonly from: string;
  readonly to: string;
}

/** "fio.job:/tmp/" */
export function parseTransfer(text: string): Transfer | undefined {
  const [, from, to] = /^([^:]+):([^:]+)$/.exec(text) ?? [];
  return from === undefined || to === undefined ? undefined : { from, to };
}
