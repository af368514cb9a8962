/** `dgpu-rig completion SHELL`: what a shell asks for when a person presses Tab. */
import { existsSync, readdirSync } from 'node:fs';
import { script, ShellCompDirective } from '@bomb.sh/tab';
import completionOf from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import { KSELFTEST } from '../../plan/suite-files.ts';
import { PROJECT_NAMES } from '../../plan/vitest-projects.ts';
import { historyFolder, repositoryPath } from '../../config/paths.ts';
import { COMPLETION } from './command-options.ts';
import { longName, OPTION_NAMES, OPTIONS, type NumberRange } from './option-table.ts';

/** Words to offer for values: for arguments by their names, for options by the kind of their value. */
const WORDS: Readonly<Record<string, () => readonly string[]>> = {
  suite: ownSuites,
  bench: () => namesIn(repositoryPath('src/benches'), '.bench.ts'),
  machine: () => namesIn(repositoryPath('rig/machines'), '.yaml'),
  project: () => PROJECT_NAMES,
  id: () => namesIn(historyFolder(), '.json').sort((a, b) => Number(b) - Number(a)),
};

/** Arguments, and options of single verbs, that are files or folders: the shell knows those best. */
const FILES: readonly string[] = [
  'file',
  'folder',
  'dir',
  'transfers',
  'shares',
  'commands',
  'files',
  'kconfigs',
  'trend',
];

/** To be called last, when all other commands are there. */
export async function addCompletion(root: Command): Promise<void> {
  const plans = process.argv.includes('--plan') ? await planNames() : [];
  const everywhere: typeof WORDS = { ...WORDS, plan: () => plans };
  const verb = 'completion';
  const all = completionOf(root, { completionCommandName: verb });
  for (const command of all.commands.values()) {
    const words = command.value === 'run' ? { ...everywhere, suite: suitesToRun } : everywhere;
    for (const place of [command.arguments, command.options]) {
      for (const [name, value] of place) {
        const kind = OPTION_NAMES.find((option) => longName(option) === name);
        const is = kind ? OPTIONS[kind].is : name;
        const known = typeof is === 'string' ? words[is] : 'someOf' in is ? () => numbersIn(is.someOf) : undefined;
        if (known) {
          value.handler = (complete) => {
            known().forEach((word) => complete(word, ''));
            if (is === 'machine') leaveToShell(all);
          };
        }
        if (typeof is === 'string' && FILES.includes(is)) value.handler = () => leaveToShell(all);
      }
    }
  }
  const added = root.commands.find((command) => command.name() === verb);
  // The library's own line would call "dgpu-rig" from $PATH, where it hardly ever is.
  added?.description(COMPLETION).action((shell: string) => void process.stdout.write(`${shellCode(shell)}\n`));
}

/** The library always tells the shell that files are no answer. With names to offer, a shell adds files to none. */
function leaveToShell(root: ReturnType<typeof completionOf>): void {
  Object.defineProperty(root, 'directive', {
    get: () => ShellCompDirective.ShellCompDirectiveDefault,
    set: () => undefined,
  });
}

/**
 * As the library prints it, with two faults mended: bash can read it twice, and completes files where it is told to.
 */
function shellCode(shell: string): string {
  const lines: string[] = [];
  /* eslint-disable no-console -- that is where the library prints, and it returns nothing */
  const print = console.log;
  console.log = (text: string) => lines.push(text);
  try {
    script(shell, 'dgpu-rig', repositoryPath('dgpu-rig'));
  } finally {
    console.log = print;
  }
  /* eslint-enable no-console */
  return lines
    .join('\n')
    .replaceAll(/^readonly /gm, '')
    .replaceAll(/^complete -F /gm, 'complete -o default -F ');
}

function ownSuites(): string[] {
  return namesIn(repositoryPath('src/suites'), '.suite.ts');
}

function suitesToRun(): string[] {
  return [...ownSuites(), KSELFTEST];
}

/** Returns nothing where there is no such folder. */
function namesIn(folder: string, suffix: string): string[] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).filter((file) => file.endsWith(suffix));
  return files.map((file) => file.slice(0, -suffix.length)).sort();
}

/** In words. */
function numbersIn({ from, to }: NumberRange): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
}

/** Reading the file takes longer than all the rest. */
async function planNames(): Promise<string[]> {
  const { loadPlans } = await import('../../config/plan.ts');
  return (await loadPlans()).plans.map(({ name }) => name);
}
