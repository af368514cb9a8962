/** The suites there are: one file each in src/suites. */
import { readdir } from 'node:fs/promises';
import { repositoryPath } from '../config/paths.ts';
import { RigError } from '../util/rig-error.ts';

const SUFFIX = '.suite.ts';

export async function listSuites(): Promise<string[]> {
  const files = await readdir(repositoryPath('src/suites'));
  return files
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort();
}

/** Paths of the suites of these names; of all of them when none is named. */
export async function suiteFiles(names: readonly string[]): Promise<string[]> {
  const known = await listSuites();
  for (const name of names) {
    if (known.includes(name)) continue;
    throw new RigError('usage', `There is no suite named ${name}.`, { remedy: `The suites are: ${known.join(', ')}.` });
  }
  return (names.length === 0 ? known : names).map((name) => repositoryPath('src/suites', `${name}${SUFFIX}`));
}
