/** Kernel configuration fragments: what they ask for, and whether Kconfig granted it. */

import { execa } from 'execa';

import { RigError } from '../../util/rig-error.ts';
import { buildEnvironment } from '../tree/build-environment.ts';

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

interface ConfiguredTree {
  readonly title: string;
  readonly source: string;
}

export async function checkConfig(
  { fragment, own = '' }: Asked,
  granted: string,
  { title, source }: ConfiguredTree,
): Promise<void> {
  const [ours, theirs, is] = [parseConfig(fragment), parseConfig(own), parseConfig(granted)];
  const denied = refusedOptions(theirs, is);
  refuse(await withUnknown(denied, source), `${title} does not grant what --kconfig asks for`, {
    remedy: 'What an option depends on may be off, or another one may turn it on: look for it in the Kconfig files.',
  });
  for (const name of theirs.keys()) ours.delete(name);
  const without = theirs.size === 0 ? '' : ', with what --kconfig asks for,';
  refuse(refusedOptions(ours, is), `${title}${without} does not grant these options`, {
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

/** Of a name that no Kconfig file of the tree has, that is all there is to say. */
async function withUnknown(denied: readonly string[], source: string): Promise<string[]> {
  if (denied.length === 0) return [];
  const names = denied.map((line) => line.slice('CONFIG_'.length, line.indexOf('=')));
  const argv = ['-rhoE', '--include=Kconfig*', `^[[:space:]]*(menu)?config (${names.join('|')})$`, '.'];
  const { stdout } = await execa('grep', argv, {
    cwd: source,
    env: buildEnvironment(),
    extendEnv: false,
    reject: false,
  });
  const known = new Set(stdout.split('\n').map((line) => line.split(' ').at(-1)));
  return denied.map((line, index) =>
    known.has(names[index]) ? line : line.replace(/ \(is .*\)$/, ' (there is no such option in this tree)'),
  );
}
