/** Sizes and addresses as people write them (`512 MiB`, `256 TiB`, `0x10000000000`), as exact numbers of bytes. */

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
