/** Small results that take long, kept as JSON under what they depend on: who asks again has the same answer at once. */

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { z } from 'zod';

import { cacheDirectory } from '../config/paths.ts';
import { contentKey } from './content-key.ts';

export interface Question<T> {
  /** All that the answer depends on. */
  readonly parts: Parameters<typeof contentKey>[0];
  readonly schema: z.ZodType<T>;
  /** Whether an answer stays true; by default all do. */
  readonly keep?: (answer: T) => boolean;
}

/** `cached` says whether it was known. What can't be read any more is found anew. */
export async function remembered<T>(
  { parts, schema, keep = () => true }: Question<T>,
  find: () => Promise<T>,
): Promise<{ readonly cached: boolean; readonly value: T }> {
  const file = path.join(cacheDirectory(), 'answers', `${contentKey(parts)}.json`);
  const known = schema.safeParse(
    await readFile(file, 'utf8')
      .then(JSON.parse)
      .catch(() => undefined),
  );
  if (known.success) return { cached: true, value: known.data };
  const value = await find();
  if (keep(value)) {
    await mkdir(path.dirname(file), { recursive: true });
    // Whole or not at all, whoever else asks the same.
    const partial = `${file}.${String(process.pid)}`;
    await writeFile(partial, JSON.stringify(value));
    await rename(partial, file);
  }
  return { cached: false, value };
}
