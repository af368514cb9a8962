/** The suites and the benches there are: one file each in src/suites and src/benches. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { repositoryPath } from '../config/paths.ts';
import { whichThereAre } from '../util/nearest-names.ts';
import { RigError } from '../util/rig-error.ts';

interface FileKind {
  readonly folder: string;
  readonly suffix: string;
  /** What a person calls one, and many. */
  readonly one: string;
  readonly many: string;
}

const SUITES: FileKind = { folder: 'src/suites', suffix: '.suite.ts', one: 'suite', many: 'suites' };
const BENCHES: FileKind = { folder: 'src/benches', suffix: '.bench.ts', one: 'bench', many: 'benches' };

/** The suite of a person's own programs, which is no part of "all": it has a test for each `--exec`. */
export const EXEC_SUITE = 'exec';
const EXEC_FILE = 'src/testbed/programs/exec.suite.ts';

/** The suites with random cycles, for --cycles and --duration. */
export const CYCLING_SUITES = ['suspend', 'hibernate'] as const;

/** Paths of the suites of these names; of all of them when none is named. */
export async function suiteFiles(names: readonly string[]): Promise<string[]> {
  return filesOf(SUITES, names);
}

/** The same for a part of a run, to which the suite of programs may belong. */
export async function filesToRun(names: readonly string[]): Promise<string[]> {
  const others = names.filter((name) => name !== EXEC_SUITE);
  if (others.length === names.length) return suiteFiles(names);
  return [...(others.length === 0 ? [] : await suiteFiles(others)), repositoryPath(EXEC_FILE)];
}

export async function benchFiles(names: readonly string[]): Promise<string[]> {
  return filesOf(BENCHES, names);
}

/** Names of all suites there are. */
export async function suiteNames(): Promise<string[]> {
  return namesOf(SUITES);
}

/** `smoke`, of src/suites/smoke.suite.ts and of itself; tests of the rig and benches are named so, too. */
export function suiteNameOf(file: string): string {
  return path.basename(file).replace(/\.(suite|bench|test)\.ts$/, '');
}

async function namesOf({ folder, suffix }: FileKind): Promise<string[]> {
  const files = (await readdir(repositoryPath(folder))).filter((file) => file.endsWith(suffix));
  return files.map((file) => file.slice(0, -suffix.length)).sort();
}

async function filesOf(kind: FileKind, names: readonly string[]): Promise<string[]> {
  const { folder, suffix, one, many } = kind;
  const known = await namesOf(kind);
  for (const name of names) {
    if (known.includes(name)) continue;
    throw new RigError('usage', `There is no ${one} named ${name}.`, { remedy: whichThereAre(name, many, known) });
  }
  return (names.length === 0 ? known : names).map((name) => repositoryPath(folder, `${name}${suffix}`));
}
