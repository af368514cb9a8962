/** `dgpu-rig.yaml`: what a person, or a CI, does not want to say on every command line. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { isAssignment } from '../../builds/kernel/user-config.ts';
import { isMachineFile } from '../../config/machine-name.ts';
import { listMachineProfiles } from '../../config/machine-profile.ts';
import { didYouMean, whichThereAre } from '../../util/nearest-names.ts';
import { RigError } from '../../util/rig-error.ts';
import { OPTION_NAMES, OPTIONS, type OptionName, type OptionRow } from './option-table.ts';

const NAMES = OPTION_NAMES.filter((name) => OPTIONS[name].inFile);

/** Each key is an option, without the dashes; a command line that names the option wins. */
const userDefaults = z.strictObject(
  Object.fromEntries(NAMES.map((name) => [name, schemaOf(OPTIONS[name]).optional().describe(OPTIONS[name].help)])),
);

function schemaOf({ is }: OptionRow): z.ZodType {
  if (typeof is === 'object') {
    if ('oneOf' in is) return z.enum(is.oneOf);
    const { from, to } = is.someOf;
    const error = `Give one or more whole numbers from ${from} to ${to}.`;
    const value = z.int({ error }).min(from, { error }).max(to, { error });
    return z.union([value, z.array(value).min(1)], { error });
  }
  if (is === 'switch') return z.boolean();
  if (is === 'text') return z.string().regex(/^.+$/);
  if (is === 'kconfigs') return z.union([z.string(), z.array(z.string()).min(1)]);
  return is === 'count' ? z.int().positive() : z.string();
}

/** What the file says, as verbs take it: paths in it are relative to it. */
export async function loadUserDefaults(file: string): Promise<Readonly<Record<string, unknown>>> {
  const found = await parseDefaults(await readFile(file, 'utf8'), file);
  return Object.fromEntries(
    Object.entries(found).map(([name, value]) => {
      const { is } = OPTIONS[name as OptionName];
      const resolve = (word: string): string => path.resolve(path.dirname(file), word);
      if (is === 'folder') return [name, resolve(String(value))];
      if (is === 'machine') return [name, isMachineFile(String(value)) ? resolve(String(value)) : value];
      if (is === 'kconfigs') {
        return [name, [value].flat().map((word) => (isAssignment(String(word)) ? word : resolve(String(word))))];
      }
      return [name, typeof is === 'object' && 'someOf' in is ? [value].flat() : value];
    }),
  );
}

async function parseDefaults(text: string, file: string): Promise<z.output<typeof userDefaults>> {
  const remedy = 'docs/dgpu-rig.schema.json says what may be in it; editors that know YAML schemas do, too.';
  let content: unknown;
  try {
    content = parse(text) ?? {};
  } catch (cause) {
    throw new RigError('usage', `${file} is not YAML: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
  const result = userDefaults.safeParse(content, { error: explain });
  if (!result.success) {
    throw new RigError('usage', `${file} has errors:\n${z.prettifyError(result.error)}`, { remedy });
  }
  const { machine } = result.data;
  const machines = await listMachineProfiles();
  if (typeof machine === 'string' && !isMachineFile(machine) && !machines.includes(machine)) {
    const remedy = whichThereAre(machine, 'machines', machines);
    throw new RigError('usage', `${file} says "machine: ${machine}", and there is no machine of that name.`, {
      remedy,
    });
  }
  return result.data;
}

/** Errors that zod does not explain by itself. */
const explain: z.core.$ZodErrorMap = (issue) => {
  if (issue.code !== 'unrecognized_keys') return undefined;
  return issue.keys.map((key) => `There is no option "${key}". ${didYouMean(key, NAMES) ?? ''}`.trim()).join(' ');
};

/** For editors: `# yaml-language-server: $schema=docs/dgpu-rig.schema.json`. */
export function defaultsSchema(): string {
  return `${JSON.stringify(z.toJSONSchema(userDefaults, { io: 'input' }), undefined, 2)}\n`;
}
