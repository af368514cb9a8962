/**
 * The suites and the benches there are: one file each in src/suites and src/benches; and suites that a person has
 * elsewhere.
 */
import { existsSync } from 'node:fs';
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
const EXEC_FILE = 'src/testbed/exec/exec.suite.ts';

/** What a person calls the self-tests of the kernel's tree: programs of the suite above. */
export const KSELFTEST = 'kselftest';

/** Those of the rig's own that mean something on a kernel without our driver. */
export const WITHOUT_DRIVER: readonly string[] = ['bochs', 'igt', 'kunit', 'qxl', 'selftests'];

/** The suites with random cycles, for --cycles and --duration. */
export const CYCLING_SUITES = ['suspend', 'hibernate'] as const;

/**
 * What the rig calls the suite that a person means: one of its own by its name, whichever way its file was named;
 * another one by its absolute path.
 */
export function suiteOf(word: string): string {
  if (!word.includes('/') && !word.endsWith(SUITES.suffix)) return word;
  const own = repositoryPath(SUITES.folder);
  const places = [path.resolve(word), repositoryPath(word)];
  return places.some((file) => path.dirname(file) === own && existsSync(file)) ? suiteNameOf(word) : path.resolve(word);
}

/** Is this the path of a suite that is not the rig's own? */
export function isOutside(suite: string): boolean {
  return path.isAbsolute(suite);
}

/** Paths of these suites; of all of the rig's own when none is named. */
export async function suiteFiles(suites: readonly string[]): Promise<string[]> {
  const outside = suites.filter(isOutside);
  const names = suites.filter((suite) => !isOutside(suite));
  const known = [...(await suiteNames()), EXEC_SUITE];
  for (const file of outside)
    checkOutside(file, [...known, ...outside.filter((other) => other !== file).map(suiteNameOf)]);
  return [...(names.length === 0 && outside.length > 0 ? [] : await filesOf(SUITES, names)), ...outside];
}

function checkOutside(file: string, taken: readonly string[]): void {
  const name = suiteNameOf(file);
  if (!existsSync(file)) throw new RigError('usage', `There is no suite ${file}.`);
  if (!file.endsWith(SUITES.suffix)) {
    throw new RigError('usage', `${file} is no suite: the name of its file has to end with ${SUITES.suffix}.`);
  }
  if (!taken.includes(name)) return;
  throw new RigError('usage', `There are two suites named ${name}: the results of ${file} could not be told apart.`, {
    remedy: 'Give its file another name.',
  });
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
