/** Which suites reach which line, by what `dgpu-rig coverage --json` wrote; of several files all that they say. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { RigError } from '../../util/rig-error.ts';
import { sourceKey } from './coverage-report.ts';

const coverageFile = z.object({
  suites: z.array(z.string()),
  files: z.array(
    z.object({
      file: z.string(),
      key: z.string(),
      counts: z.array(z.object({ line: z.number(), suites: z.array(z.string()) })),
    }),
  ),
});

export interface CoverageRecord extends z.infer<typeof coverageFile> {
  /** As it was given. */
  readonly name: string;
}

export async function readCoverage(name: string): Promise<CoverageRecord> {
  try {
    return { name, ...coverageFile.parse(JSON.parse(await readFile(name, 'utf8'))) };
  } catch (cause) {
    throw new RigError('usage', `--coverage ${name}: that is no file that "coverage --json" wrote.`, {
      cause,
      remedy: 'Write one: ./dgpu-rig coverage smoke driver --json FILE',
    });
  }
}

/** The suites by line; of lines that the compiler has made no code of there is nothing. */
export function suitesByLine(
  records: readonly CoverageRecord[],
  file: string,
  lines: readonly string[],
): ReadonlyMap<number, readonly string[]> {
  const found = new Map<number, Set<string>>();
  for (const { name, files } of records) {
    for (const { key, counts } of files.filter((each) => each.file === file)) {
      if (key !== sourceKey(lines)) throw otherText(name, file);
      for (const { line, suites } of counts) found.set(line, new Set([...(found.get(line) ?? []), ...suites]));
    }
  }
  return new Map([...found].map(([line, suites]) => [line, [...suites].sort()]));
}

function otherText(name: string, file: string): RigError {
  return new RigError('usage', `--coverage ${name} is of another ${file} than this kernel has.`, {
    remedy: 'Write it again: ./dgpu-rig coverage SUITE… --json FILE',
  });
}
