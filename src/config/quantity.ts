/** Sizes and addresses in the data files. */

import { z } from 'zod';

import { parseQuantity } from './parse-quantity.ts';

const MIB = 1n << 20n;

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
  if (bytes > 0n && bytes % MIB === 0n) return Number(bytes / MIB);
  context.addIssue({ code: 'custom', message: `${bytes} bytes are not a positive whole number of MiB` });
  return z.NEVER;
});
