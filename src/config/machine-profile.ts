/**
 * Machine profiles: which RAM at which address on which node, which vIOMMU, which swap. The data is
 * rig/machines/*.yaml.
 */

import { readdir, readFile } from 'node:fs/promises';
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument as parseYaml } from 'yaml';
import { z } from 'zod';

import { didYouMean, whichThereAre } from '../util/nearest-names.ts';
import { RigError } from '../util/rig-error.ts';
import { isMachineFile, machineName } from './machine-name.ts';
import { repositoryPath } from './paths.ts';
import { quantity, wholeMiB } from './quantity.ts';

const node = z.int().min(0).max(15);

const dimm = z
  .strictObject({ node, size: wholeMiB, address: quantity })
  .transform(({ node, size, address }) => ({ node, sizeMiB: size, address }));

const memory = z
  .strictObject({
    boot: z.strictObject({ node, size: wholeMiB }).transform(({ node, size }) => ({ node, sizeMiB: size })),
    max: quantity,
    dimms: z.array(dimm).max(8),
  })
  .transform(({ boot, max, dimms }) => ({ boot, maxBytes: max, dimms }));

const swap = z
  .strictObject({ kind: z.enum(['disk', 'zram']), size: wholeMiB })
  .transform(({ kind, size }) => ({ kind, sizeMiB: size }));

const machineProfile = z
  .strictObject({
    name: z.string().regex(/^[a-z][a-z0-9-]*$/),
    description: z.string().min(1),
    /** The value of QEMU's `-cpu`. */
    cpu: z.string().min(1),
    /** One entry for each virtual CPU: the node it belongs to. */
    cpuNodes: z.array(node).min(1).max(16),
    memory,
    iommu: z.enum(['intel', 'amd', 'virtio']).optional(),
    swap: swap.optional(),
    /** How many GPUs; those in the guest have the same order. */
    devices: z.int().min(0).max(4).default(1),
    /** Whether the first of them has a display. */
    display: z.boolean().default(false),
    /** More devices, each the value of a `-device` of QEMU's: for the driver of something that is not ours. */
    plugged: z.array(z.string().regex(/^[\w-]+(,[\w.-]+=\S*)*$/)).default([]),
    kernelArgs: z.array(z.string().regex(/^\S+$/)),
  })
  .superRefine((profile, context) => {
    for (const message of memoryFaults(profile)) context.addIssue({ code: 'custom', message });
  });

export type MachineProfile = Readonly<z.output<typeof machineProfile>>;

/** The overlay form of a profile: everything of the profile it extends, except for what it says itself. */
const derivedProfile = z.looseObject({ extends: z.string().regex(/^[a-z][a-z0-9-]*$/) });

const GIB = 1n << 30n;
const FOUR_GIB = 4n * GIB;
const PCI_BARS = 32n * GIB;

function memoryFaults({ memory, cpuNodes }: Pick<MachineProfile, 'memory' | 'cpuNodes'>): string[] {
  const faults: string[] = [];
  const { boot, dimms, maxBytes } = memory;
  const nodes = new Set([boot.node, ...cpuNodes]);
  for (const { node, address } of dimms) {
    // Firmware tables describe only nodes with a CPU or boot RAM: the DIMM would land in node 0.
    if (!nodes.has(node))
      faults.push(`the DIMM at ${hex(address)} is on node ${node}, which has no CPU and no boot RAM`);
    if (address < FOUR_GIB) faults.push(`the DIMM at ${hex(address)} is below 4 GiB, where boot RAM and PCI are`);
  }
  const ranges = dimms
    .map(({ address, sizeMiB }) => ({ start: address, end: address + mib(sizeMiB) }))
    .sort((a, b) => (a.start < b.start ? -1 : 1));
  for (const [index, range] of ranges.entries()) {
    const next = ranges[index + 1];
    if (next && next.start < range.end) faults.push(`the DIMMs at ${hex(range.start)} and ${hex(next.start)} overlap`);
    if (range.end > maxBytes) faults.push(`the DIMM at ${hex(range.start)} ends above memory.max`);
  }
  return faults;
}

/**
 * How many bits a physical address has to have for QEMU to build such a machine: above all RAM, plugged or to be
 * plugged, there is room for 64-bit PCI BARs (32 GiB, of the machine q35), and each of the parts begins at a multiple
 * of 1 GiB.
 */
export function addressBits({ memory: { maxBytes, dimms } }: Pick<MachineProfile, 'memory'>): number {
  const end = maxBytes + FOUR_GIB + (BigInt(dimms.length) + 1n) * GIB + PCI_BARS;
  return (end - 1n).toString(2).length;
}

/** The widest mask beyond which such a machine has RAM; 0 where all of it is within the narrowest. */
export function widestLimit({ memory: { dimms } }: Pick<MachineProfile, 'memory'>): number {
  return Math.max(0, ...dimms.map(({ address }) => address.toString(2).length - 1));
}

function mib(count: number): bigint {
  return BigInt(count) << 20n;
}

function hex(address: bigint): string {
  return `0x${address.toString(16)}`;
}

/** Checks the text of a profile; `where` names it in messages. `readBase` resolves `extends`. */
export async function parseMachineProfile(
  text: string,
  where: string,
  readBase: (name: string) => Promise<string>,
): Promise<MachineProfile> {
  const { content, placeOf } = parseDocument(text, where);
  const result = machineProfile.safeParse(await withBase(content, where, readBase));
  if (result.success) return result.data;
  const lines = result.error.issues.flatMap((issue) =>
    explained(issue).map(({ path, what }) => `${placeOf(path)}: ${what}`),
  );
  throw new RigError(
    'usage',
    `${where} is not a valid machine profile:\n${lines.map((line) => `  ${line}`).join('\n')}`,
    {
      remedy: `Correct ${where}.`,
    },
  );
}

interface Fault {
  readonly path: readonly PropertyKey[];
  readonly what: string;
}

/** A key that does not exist is a fault of its own, at its own place. */
function explained(issue: z.core.$ZodIssue): Fault[] {
  if (issue.code !== 'unrecognized_keys') {
    const name = issue.path.map(String).join('.');
    return [{ path: issue.path, what: name === '' ? issue.message : `${name}: ${issue.message}` }];
  }
  return issue.keys.map((key) => {
    const hint = didYouMean(key, knownKeys());
    return { path: [...issue.path, key], what: `there is no key "${key}"${hint === undefined ? '' : `. ${hint}`}` };
  });
}

/** All that may be written anywhere in a profile. */
function knownKeys(): string[] {
  const keys = new Set(['extends']);
  const walk = (schema: unknown): void => {
    if (typeof schema !== 'object' || schema === null) return;
    if ('properties' in schema) Object.keys(schema.properties as object).forEach((key) => keys.add(key));
    Object.values(schema).forEach(walk);
  };
  walk(z.toJSONSchema(machineProfile, { io: 'input', unrepresentable: 'any' }));
  return [...keys];
}

async function withBase(own: unknown, where: string, readBase: (name: string) => Promise<string>): Promise<unknown> {
  const derived = derivedProfile.safeParse(own);
  if (!derived.success) return own;
  const { extends: baseName, ...changes } = derived.data;
  const { content: base } = parseDocument(await readBase(baseName), `machine ${baseName}`);
  // One level only: whoever reads a profile has to look at one other file at most.
  if (derivedProfile.safeParse(base).success) {
    throw new RigError('usage', `${where} extends ${baseName}, which extends another profile itself.`);
  }
  return { ...z.record(z.string(), z.unknown()).parse(base), ...changes };
}

interface ParsedDocument {
  readonly content: unknown;
  /** Line and column, both from 1, of what is there; of what is missing, those of what lacks it. */
  readonly placeOf: (path: readonly PropertyKey[]) => string;
}

function parseDocument(text: string, where: string): ParsedDocument {
  const lines = new LineCounter();
  const document = parseYaml(text, { lineCounter: lines });
  const [error] = document.errors;
  if (error) {
    throw new RigError('usage', `${where} is not YAML: ${error.message}`, {
      remedy: `Correct ${where}.`,
      cause: error,
    });
  }
  const placeOf = (path: readonly PropertyKey[]): string => {
    const { line, col } = lines.linePos(offsetOf(document.contents, path));
    return `${line}:${col}`;
  };
  return { content: document.toJS(), placeOf };
}

/** Where the key is by which the path ends, or the last of its keys that is there. */
function offsetOf(node: unknown, path: readonly PropertyKey[]): number {
  const [key, ...rest] = path;
  const start = isNode(node) ? (node.range?.[0] ?? 0) : 0;
  if (isMap(node)) {
    const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key);
    if (!pair) return start;
    const at = isScalar(pair.key) ? (pair.key.range?.[0] ?? start) : start;
    return rest.length === 0 ? at : Math.max(at, offsetOf(pair.value, rest));
  }
  const item = isSeq(node) && typeof key === 'number' ? node.items[key] : undefined;
  return item === undefined ? start : offsetOf(item, rest);
}

/** Names of all profiles, sorted. */
export async function listMachineProfiles(): Promise<string[]> {
  const files = await readdir(repositoryPath('rig/machines'));
  return files
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length))
    .sort();
}

/** One of the rig's by its name, or one of the user's by its file. */
export async function loadMachineProfile(machine: string): Promise<MachineProfile> {
  const own = isMachineFile(machine);
  const where = own ? machine : `rig/machines/${machine}.yaml`;
  const profile = await parseMachineProfile(await (own ? readOwn(machine) : readProfile(machine)), where, readProfile);
  if (profile.name !== machineName(machine)) {
    throw new RigError('usage', `${where} calls itself ${profile.name}.`, {
      remedy: 'Name the file after the profile.',
    });
  }
  if (own && (await listMachineProfiles()).includes(profile.name)) {
    throw new RigError('usage', `${where}: the rig has a machine of the name ${profile.name} itself.`, {
      remedy: `Choose another name for yours, or use the rig's by --machine ${profile.name}`,
    });
  }
  return profile;
}

async function readOwn(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new RigError('usage', `There is no machine profile to read at ${file}.`, {
      remedy: "./dgpu-rig list machines prints the names of the rig's own.",
      cause,
    });
  });
}

async function readProfile(name: string): Promise<string> {
  const names = await listMachineProfiles();
  if (!names.includes(name)) {
    throw new RigError('usage', `There is no machine named ${name}.`, {
      remedy: whichThereAre(name, 'machines', names),
    });
  }
  return readFile(repositoryPath('rig/machines', `${name}.yaml`), 'utf8');
}
