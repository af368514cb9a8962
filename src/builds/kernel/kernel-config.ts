/** Kernel configuration fragments: what they ask for, and whether Kconfig granted it. */

import { RigError } from '../../util/rig-error.ts';

/** `CONFIG_X=y` lines as a map; an option that is asked to be off has the value `n`. */
export function parseConfig(text: string): Map<string, string> {
  const options = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^(CONFIG_\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) options.set(name, value);
    const [, off] = /^# (CONFIG_\w+) is not set$/.exec(line) ?? [];
    if (off !== undefined) options.set(off, 'n');
  }
  return options;
}

/** What was asked for and not granted, each as "CONFIG_X=y (is n)". */
export function refusedOptions(asked: ReadonlyMap<string, string>, granted: ReadonlyMap<string, string>): string[] {
  return [...asked].flatMap(([name, value]) => {
    // An option whose dependencies are off is not in the file at all.
    const actual = granted.get(name) ?? 'n';
    return actual === value ? [] : [`${name}=${value} (is ${actual})`];
  });
}

export function checkConfig(asked: string, granted: string, tree: string): void {
  const refused = refusedOptions(parseConfig(asked), parseConfig(granted));
  if (refused.length === 0) return;
  throw new RigError(
    'usage',
    `${tree} does not grant these options:\n${refused.map((line) => `  ${line}`).join('\n')}`,
    {
      remedy: 'They may have been renamed, or depend on another option: see guest-kernel/config.',
    },
  );
}
