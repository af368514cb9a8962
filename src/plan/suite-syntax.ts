/** Suites that can't be read are told before anything is built for them. */
import { readFile } from 'node:fs/promises';
import type { TransformFailure } from 'esbuild';
import { RigError } from '../util/rig-error.ts';

export async function checkSuites(files: readonly string[]): Promise<void> {
  const { transform } = await import('esbuild');
  for (const file of files) {
    await transform(await readFile(file, 'utf8'), { loader: 'ts', logLevel: 'silent' }).catch((error: unknown) => {
      throw syntaxError(file, error);
    });
  }
}

function syntaxError(file: string, error: unknown): unknown {
  const [first] = (error as Partial<TransformFailure>).errors ?? [];
  if (!first) return error;
  const { line = 1, column = 0 } = first.location ?? {};
  return new RigError(
    'usage',
    `${file}:${String(line)}:${String(column + 1)}: the suite can't be read: ${first.text}`,
    {
      cause: error,
    },
  );
}
