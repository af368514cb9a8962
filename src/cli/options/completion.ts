/** `dgpu-rig completion SHELL`: what a shell asks for when a person presses Tab; suites, benches, machines and plans are told by their names. */
import { readdirSync, readFileSync } from 'node:fs';
import { script } from '@bomb.sh/tab';
import completionOf from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import { PROJECT_NAMES } from '../../plan/vitest-projects.ts';
import { repositoryPath } from '../../config/paths.ts';
import { parsePlans } from '../../config/plan.ts';

/** Of arguments and of options, by their names: what their values are. */
const VALUES: Readonly<Record<string, () => readonly string[]>> = {
  suite: () => namesIn('src/suites', '.suite.ts'),
  bench: () => namesIn('src/benches', '.bench.ts'),
  machine: () => namesIn('rig/machines', '.yaml'),
  project: () => PROJECT_NAMES,
  plan: () => parsePlans(readFileSync(repositoryPath('rig/plans.yaml'), 'utf8')).plans.map(({ name }) => name),
  'dma-bits': () => ['32', '40', '48'],
};

/** Last, when all the others are there. */
export function addCompletion(root: Command): void {
  const verb = 'completion';
  const all = completionOf(root, { completionCommandName: verb });
  for (const command of all.commands.values()) {
    for (const place of [command.arguments, command.options]) {
      for (const [name, value] of place) {
        const known = VALUES[name];
        if (known) value.handler = (complete) => known().forEach((word) => complete(word, ''));
      }
    }
  }
  const added = root.commands.find((command) => command.name() === verb);
  // Its own would call "dgpu-rig" from $PATH, where it hardly ever is.
  added
    ?.description('the shell code that completes these commands: source <(./dgpu-rig completion bash)')
    .action((shell: string) => script(shell, 'dgpu-rig', repositoryPath('dgpu-rig')));
}

function namesIn(folder: string, suffix: string): string[] {
  const files = readdirSync(repositoryPath(folder)).filter((file) => file.endsWith(suffix));
  return files.map((file) => file.slice(0, -suffix.length)).sort();
}
