import { expect, test } from 'vitest';
import { slug } from '../../../src/util/slug.ts';

test.for([
  ['tiers, dmaBits 48 > keeps objects', 'tiers-dmaBits-48-keeps-objects'],
  ['a ≤ b', 'a-b'],
  ['..', ''],
  ['../../etc', 'etc'],
  ['x'.repeat(300), 'x'.repeat(80)],
  ['переживает сон', ''],
] as const)('%s becomes %s', ([text, name]) => expect(slug(text)).toBe(name));
