/** `dgpu-rig completion SHELL`: what a shell asks for when a person presses Tab; suites, benches, machines and plans are told by their names. */
import { readdirSync, readFileSync } from 'node:fs';
import { script, ShellCompDirective } from '@bomb.sh/tab';
import completionOf from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import { History, historyFolder } from '../../report/past/history.ts';
import { PROJECT_NAMES } from '../../plan/vitest-projects.ts';
import { repositoryPath } from '../../config/paths.ts';
import { DMA_MASKS } from '../../config/combination.ts';
import { parsePlans } from '../../config/plan.ts';

/** Of arguments and of options, by their names: what their values are. */
const VALUES: Readonly<Record<string, () => readonly string[]>> = {
  suite: () => namesIn('src/suites', '.suite.ts'),
  bench: () => namesIn('src/benches', '.bench.ts'),
  machine: () => namesIn('rig/machines', '.yaml'),
  project: () => PROJECT_NAMES,
  plan: () => parsePlans(readFileSync(repositoryPath('rig/plans.yaml'), 'utf8')).plans.map(({ name }) => name),
  'dma-bits': () => DMA_MASKS.map(String),
  id: runNumbers,
};

/** Of options whose values are files or folders: those the shell knows best. */
const FILES = ['json', 'junit', 'ktap', 'html', 'jsonl', 'kernel-src', 'qemu-src', 'put', 'get', 'file', 'dir'];

/** Last, when all the others are there. */
export function addCompletion(root: Command): void {
  const verb = 'completion';
  const all = completionOf(root, { completionCommandName: verb });
  for (const command of all.commands.values()) {
    for (const place of [command.arguments, command.options]) {
      for (const [name, value] of place) {
        const known = VALUES[name];
        if (known) value.handler = (complete) => known().forEach((word) => complete(word, ''));
        else if (FILES.includes(name)) value.handler = () => leaveToShell(all);
      }
    }
  }
  const added = root.commands.find((command) => command.name() === verb);
  // Its own would call "dgpu-rig" from $PATH, where it hardly ever is.
  added
    ?.description('the shell code that completes these commands: source <(./dgpu-rig completion bash)')
    .action((shell: string) => void process.stdout.write(`${shellCode(shell)}\n`));
}

/** The library always tells the shell that files are no answer. */
function leaveToShell(root: ReturnType<typeof completionOf>): void {
  Object.defineProperty(root, 'directive', {
    get: () => ShellCompDirective.ShellCompDirectiveDefault,
    set: () => undefined,
  });
}

/** As the library prints it, but for two faults of it: bash must be able to read it twice, and to complete files where it is told to. */
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

/** The latest first. */
function runNumbers(): string[] {
  return History.open(historyFolder())
    .entries()
    .map(({ id }) => String(id));
}

function namesIn(folder: string, suffix: string): string[] {
  const files = readdirSync(repositoryPath(folder)).filter((file) => file.endsWith(suffix));
  return files.map((file) => file.slice(0, -suffix.length)).sort();
}
