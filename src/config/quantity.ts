/** Sizes and addresses as people write them (`512 MiB`, `256 TiB`, `0x10000000000`), as exact numbers of bytes. */

import { z } from 'zod';

const UNIT_SHIFT = { B: 0n, KiB: 10n, MiB: 20n, GiB: 30n, TiB: 40n, PiB: 50n } as const;

const QUANTITY = /^(?:(?<hex>0x[0-9a-fA-F]+)|(?<amount>\d+)(?: ?(?<unit>B|KiB|MiB|GiB|TiB|PiB)))$/i;

function isUnit(text: string): text is keyof typeof UNIT_SHIFT {
  return text in UNIT_SHIFT;
}

/** Undefined when `text` is not a quantity; a bare number has no unit and is none. */
export function parseQuantity(text: string): bigint | undefined {
  const groups = QUANTITY.exec(text)?.groups;
  if (!groups) return undefined;
  if (groups['hex'] !== undefined) return BigInt(groups['hex']);
  const unit = groups['unit'] ?? '';
  return isUnit(unit) ? BigInt(groups['amount'] ?? '') << UNIT_SHIFT[unit] : undefined;
}

export const quantity = z.string().transform((text, context) => {
  const bytes = parseQuantity(text);
  if (bytes !== undefined) return bytes;
  context.addIssue({
    code: 'custom',
    message: `"${text}" is not a size or address: write it as 512 MiB or 0x20000000`,
  });
  return z.NEVER;
});

/** A size that QEMU and the kernel take in whole MiB. */
export const wholeMiB = quantity.transform((bytes, context) => {
  if (bytes > 0n && bytes % (1n << UNIT_SHIFT.MiB) === 0n) return Number(bytes >> UNIT_SHIFT.MiB);
  context.addIssue({ code: 'custom', message: `${bytes} bytes are not a positive whole number of MiB` });
  return z.NEVER;
});
