/** `dgpu-rig list`: the names that other verbs take, each with what it stands for. */
import { readFile } from 'node:fs/promises';
import { FLAVOURS, flavourDescription } from '../../config/flavour.ts';
import { listMachineProfiles, loadMachineProfile } from '../../config/machine-profile.ts';
import { loadPlans } from '../../config/plan.ts';
import { repositoryPath } from '../../config/paths.ts';
import { benchFiles, KSELFTEST, suiteFiles, suiteNameOf } from '../../plan/suite-files.ts';
import type { List, ListOptions } from '../options/option-table.ts';
import type { Session } from '../session.ts';

/** A name, and what it stands for. */
type Entry = readonly [name: string, description: string];

/** Not in a file: its tests are those of the kernel's tree. */
const KSELFTESTS: Entry = [KSELFTEST, "The kernel tree's own self-tests, of the targets that --target names"];

function byName([one]: Entry, [other]: Entry): number {
  return one < other ? -1 : 1;
}

const ENTRIES: Readonly<Record<Exclude<List, 'tests'>, () => Promise<readonly Entry[]>>> = {
  suites: async () => [...(await describedFiles(await suiteFiles([]))), KSELFTESTS].sort(byName),
  benches: async () => describedFiles(await benchFiles([])),
  plans: async () => (await loadPlans()).plans.map(({ name, description }): Entry => [name, description]),
  machines: async () => {
    const profiles = await Promise.all((await listMachineProfiles()).map(loadMachineProfile));
    return profiles.map(({ name, description }): Entry => [name, description]);
  },
  flavours: () => Promise.resolve(FLAVOURS.map((name): Entry => [name, flavourDescription(name)])),
  programs: async () => stressPrograms(await readFile(repositoryPath('images/stress/main.c'), 'utf8')),
};

export async function listVerb(
  kind: List | undefined,
  names: readonly string[],
  options: ListOptions,
  session: Session,
): Promise<number> {
  if (kind === 'tests') {
    const { testNames } = await import('../run/test-names.ts');
    const found = await testNames(names, options, session);
    session.progress.stop();
    process.stdout.write(found.map((name) => `${name}\n`).join(''));
  } else if (kind) process.stdout.write(linesOf(await ENTRIES[kind](), ''));
  else {
    for (const [name, entries] of Object.entries(ENTRIES))
      process.stdout.write(`${name}:\n${linesOf(await entries(), '  ')}`);
    process.stdout.write('The names of tests: ./dgpu-rig list tests [SUITE…]\n');
  }
  return 0;
}

const NAME_WIDTH = 13;

function linesOf(entries: readonly Entry[], indent: string): string {
  const lines = entries.map(([name, description]) => `${indent}${name.padEnd(NAME_WIDTH)} ${description}`.trimEnd());
  return lines.map((line) => `${line}\n`).join('');
}

/** Each file begins with a comment that says what it is about. */
async function describedFiles(files: readonly string[]): Promise<Entry[]> {
  return Promise.all(
    files.map(async (file): Promise<Entry> => {
      const [, comment = ''] = /^\/\*\*([\s\S]*?)\*\//.exec(await readFile(file, 'utf8')) ?? [];
      const text = comment.replaceAll(/\s*\n \* ?/g, ' ').trim();
      return [suiteNameOf(file), text.split(/[.:;?] |\.$/, 1)[0] ?? ''];
    }),
  );
}

/** The programs of edgpu-stress, as it prints them itself. */
export function stressPrograms(source: string): Entry[] {
  return Array.from(
    source.matchAll(/\{ "(\w+)", \w+_main,((?:\s*"[^"]*")+) \}/g),
    ([, name = '', literals = '']): Entry => {
      const text = Array.from(literals.matchAll(/"([^"]*)"/g), ([, part]) => part).join('');
      return [name, text.replaceAll(/\\n\s*/g, ' ')];
    },
  );
}
