/** Lays the defaults of `dgpu-rig.yaml` under the options of the verb that is about to run. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';

const DEFAULTS_FILE = 'dgpu-rig.yaml';

export function applyUserDefaults(root: Command, directory: string): void {
  root.hook('preAction', async (_, verb) => {
    const file = path.join(directory, DEFAULTS_FILE);
    if (!existsSync(file)) return;
    const { loadUserDefaults } = await import('./user-defaults.ts');
    for (const [name, value] of Object.entries(await loadUserDefaults(file))) {
      // The option is another verb's, or was given on the command line.
      if (!verb.options.some((option) => option.attributeName() === name)) continue;
      if (verb.getOptionValueSource(name) === 'cli') continue;
      verb.setOptionValueWithSource(name, value, 'config');
    }
  });
}
