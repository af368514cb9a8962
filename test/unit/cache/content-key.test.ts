import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { contentKey, folderKey } from '../../../src/cache/content-key.ts';

test('does not depend on the order of the parts', () => {
  expect(contentKey({ a: '1', b: '2' })).toBe(contentKey({ b: '2', a: '1' }));
});

test.each([
  [{ a: '1' }, { a: '2' }],
  [{ a: '1' }, { b: '1' }],
  [{ a: ['ab', 'c'] }, { a: ['a', 'bc'] }],
  [{ a: ['a', 'b'] }, { a: ['b', 'a'] }],
  [{ a: ['a'] }, { a: ['a', ''] }],
  [{ a: 'x', b: '' }, { a: 'x' }],
  [{ a: ['1', 'b'] }, { a: '1', b: '' }],
])('%j and %j differ', (one, other) => expect(contentKey(one)).not.toBe(contentKey(other)));

test('lists that differ have different keys', () => {
  const list = fc.array(fc.string({ maxLength: 3 }), { maxLength: 4 });
  fc.assert(
    fc.property(list, list, (a, b) => {
      const equal = JSON.stringify(a) === JSON.stringify(b);
      expect(contentKey({ list: a }) === contentKey({ list: b })).toBe(equal);
    }),
  );
});

test('a folder: name and content of each file count', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-key-'));
  try {
    const keys = [await folderKey(folder), await folderKey(path.join(folder, 'missing'))];
    expect(keys[0]).toBe(keys[1]);
    await writeFile(path.join(folder, 'a'), '1');
    keys.push(await folderKey(folder));
    await writeFile(path.join(folder, 'a'), '2');
    keys.push(await folderKey(folder));
    await writeFile(path.join(folder, 'b.md'), '1');
    keys.push(await folderKey(folder));
    expect(new Set(keys).size).toBe(4);
    expect(await folderKey(folder, (file) => !file.endsWith('.md'))).toBe(keys[3]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
