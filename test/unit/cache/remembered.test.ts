/** An answer is found once for the same parts; one that is not to be kept, or can't be read, is found again. */
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { z } from 'zod';
import { remembered } from '../../../src/cache/remembered.ts';
import { cacheDirectory } from '../../../src/config/paths.ts';
import { test } from './temporary-cache.ts';

const schema = z.number();
const ask = async (patch: string, answer: number, keep?: (answer: number) => boolean) =>
  remembered({ parts: { patch }, schema, ...(keep === undefined ? {} : { keep }) }, () => Promise.resolve(answer));

test('the same parts have the answer of before, and others their own', async () => {
  expect(await ask('a', 1)).toEqual({ cached: false, value: 1 });
  expect(await ask('a', 2)).toEqual({ cached: true, value: 1 });
  expect(await ask('b', 3)).toEqual({ cached: false, value: 3 });
});

test('what is not to be kept is asked again', async () => {
  const good = (answer: number): boolean => answer === 0;
  expect(await ask('a', 1, good)).toEqual({ cached: false, value: 1 });
  expect(await ask('a', 0, good)).toEqual({ cached: false, value: 0 });
  expect(await ask('a', 1, good)).toEqual({ cached: true, value: 0 });
});

test.for(['', '{', '"one"'])('a file with %j in it is no answer', async (text) => {
  await ask('a', 1);
  const folder = path.join(cacheDirectory(), 'answers');
  for (const name of await readdir(folder)) await writeFile(path.join(folder, name), text);
  expect(await ask('a', 2)).toEqual({ cached: false, value: 2 });
});

test('whoever could not find it leaves nothing behind', async () => {
  const failing = remembered({ parts: { patch: 'a' }, schema }, () => Promise.reject(new Error('no compiler')));
  await expect(failing).rejects.toThrow('no compiler');
  expect(await ask('a', 1)).toEqual({ cached: false, value: 1 });
});
