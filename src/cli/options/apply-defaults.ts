/** Lays the defaults of `dgpu-rig.yaml` under the options of the verb that is about to run. */
import type { Command } from 'commander';
import { loadUserDefaults } from '../../config/user-defaults.ts';

export function applyUserDefaults(root: Command, directory: string): void {
  root.hook('preAction', async (_, verb) => {
    const defaults = await loadUserDefaults(directory);
    for (const [name, value] of Object.entries(defaults)) {
      // Another verb's, or said on the command line.
      if (!verb.options.some((option) => option.attributeName() === name)) continue;
      if (verb.getOptionValueSource(name) === 'cli') continue;
      verb.setOptionValueWithSource(name, value, 'config');
    }
  });
}
