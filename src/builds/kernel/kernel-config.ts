/** Kernel configuration fragments: what they ask for, and whether Kconfig granted it. */

import { RigError } from '../../util/rig-error.ts';

/** `CONFIG_X=y` lines as a map; an option that is asked to be off has the value `n`. */
export function parseConfig(text: string): Map<string, string> {
  const options = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^\s*(CONFIG_\w+)=(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) options.set(name, value);
    const [, off] = /^\s*# (CONFIG_\w+) is not set\s*$/.exec(line) ?? [];
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

interface Asked {
  /** By the rig. */
  readonly fragment: string;
  /** By the user, whose word is the last. */
  readonly own?: string;
}

export function checkConfig({ fragment, own = '' }: Asked, granted: string, tree: string): void {
  const [ours, theirs, is] = [parseConfig(fragment), parseConfig(own), parseConfig(granted)];
  refuse(refusedOptions(theirs, is), `${tree} does not grant what --kconfig asks for`, {
    remedy:
      'There may be no such option in this tree, one that it depends on may be off, or another may turn it on: look for it in the Kconfig files.',
  });
  for (const name of theirs.keys()) ours.delete(name);
  const without = theirs.size === 0 ? '' : ', with what --kconfig asks for,';
  refuse(refusedOptions(ours, is), `${tree}${without} does not grant these options`, {
    remedy:
      theirs.size === 0
        ? 'They may have been renamed, or depend on another option: see guest-kernel/config.'
        : 'The rig needs them, and an option of --kconfig rules them out.',
  });
}

function refuse(refused: readonly string[], what: string, { remedy }: { readonly remedy: string }): void {
  if (refused.length === 0) return;
  throw new RigError('usage', `${what}:\n${refused.map((line) => `  ${line}`).join('\n')}`, { remedy });
}
