/** `dgpu-rig.yaml`: what a person, or a CI, does not want to say on every command line. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

import { RigError } from '../util/rig-error.ts';
import { FLAVOURS } from './flavour.ts';

const DEFAULTS_FILE = 'dgpu-rig.yaml';

const folder = (what: string): z.ZodOptional<z.ZodString> => z.string().optional().describe(what);

/** Each key is an option, without the dashes; a command line that names the option wins. */
const userDefaults = z.strictObject({
  machine: z.string().optional().describe('machine profile, from rig/machines'),
  dmaBits: z
    .array(z.literal([32, 40, 48]))
    .min(1)
    .optional()
    .describe('address widths of the device'),
  backend: z.enum(['shmem', 'backup', 'legacy']).optional().describe("what the driver's objects live in"),
  flavour: z.enum(FLAVOURS).optional().describe("what the guest's kernel watches for"),
  accel: z.enum(['auto', 'kvm', 'tcg']).optional().describe('how QEMU runs the guest'),
  maxVms: z.number().int().positive().optional().describe('most VMs at the same time'),
  repeat: z.number().int().positive().optional().describe('repeat each test that failed so often'),
  keep: z.boolean().optional().describe('keep the artifacts of VMs where nothing failed, too'),
  kernelSrc: folder('build and test this kernel tree instead of the pinned one'),
  qemuSrc: folder('build and use this QEMU tree instead of the pinned one'),
});

type UserDefaults = z.infer<typeof userDefaults>;

/** Of the folder, if it has one; paths in it are relative to it. */
export async function loadUserDefaults(directory: string): Promise<UserDefaults> {
  const file = path.join(directory, DEFAULTS_FILE);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return {};
  try {
    const found = userDefaults.parse(parse(text) ?? {});
    const resolved = (name: 'kernelSrc' | 'qemuSrc'): object =>
      found[name] === undefined ? {} : { [name]: path.resolve(directory, found[name]) };
    return { ...found, ...resolved('kernelSrc'), ...resolved('qemuSrc') };
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new RigError('usage', `${file} is not as it should be:\n${why}`, {
      remedy: 'docs/dgpu-rig.schema.json says what may be in it; editors that know YAML schemas do, too.',
      cause,
    });
  }
}

/** For editors: `# yaml-language-server: $schema=docs/dgpu-rig.schema.json`. */
export function defaultsSchema(): string {
  return `${JSON.stringify(z.toJSONSchema(userDefaults, { io: 'input' }), undefined, 2)}\n`;
}
