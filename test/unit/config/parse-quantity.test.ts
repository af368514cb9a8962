import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseQuantity } from '../../../src/config/parse-quantity.ts';

describe('parseQuantity', () => {
  test.each([
    ['512 MiB', 512n << 20n],
    ['8GiB', 8n << 30n],
    ['256 TiB', 1n << 48n],
    ['0 B', 0n],
    ['0x10000000000', 1n << 40n],
    ['0xABcd', 0xabcdn],
  ])('%s', (text, bytes) => expect(parseQuantity(text)).toBe(bytes));

  // A bare number could be bytes or MiB: whoever writes it must say which.
  test.each(['512', '512 MB', '512 mib', '-1 MiB', '1.5 GiB', '0x', '0xg', ' 1 MiB', '1 MiB ', '1  MiB', '', 'MiB'])(
    'refuses "%s"',
    (text) => expect(parseQuantity(text)).toBeUndefined(),
  );

  test('is exact beyond what a number can hold', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 1n << 64n }), (amount) => {
        expect(parseQuantity(`0x${amount.toString(16)}`)).toBe(amount);
        expect(parseQuantity(`${amount} KiB`)).toBe(amount * 1024n);
      }),
    );
  });
});
