/** Cache keys: a hash over named parts, so that two different inputs can't add up to the same bytes. */

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

type KeyParts = Readonly<Record<string, string | readonly string[] | Buffer>>;

const KEY_LENGTH = 20;

export function contentKey(parts: KeyParts): string {
  const hash = createHash('sha256');
  for (const name of Object.keys(parts).sort()) {
    hash.update(frame(name));
    for (const value of [parts[name] ?? ''].flat()) hash.update(frame(value));
    hash.update(frame(''));
  }
  return hash.digest('hex').slice(0, KEY_LENGTH);
}

/** Length first: "ab" + "c" must differ from "a" + "bc". */
function frame(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from(`${bytes.length}:`), bytes]);
}

/** Hash over names, modes that matter and contents of the files below `folder` for which `wanted` holds. */
export async function folderKey(folder: string, wanted: (file: string) => boolean = () => true): Promise<string> {
  const files = (await listFiles(folder)).filter(wanted);
  const contents = await Promise.all(files.map((file) => readFile(path.join(folder, file))));
  return contentKey(Object.fromEntries(files.map((file, index) => [file, contents[index] ?? ''])));
}

/** Paths of all files below `folder`, relative to it, sorted; none when it does not exist. */
export async function listFiles(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
      .sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
