/** Which packages of Debian the rig is made of, and which archives are asked for them. The data is rig/sources.yaml. */

import { readFile } from 'node:fs/promises';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';

import { repositoryPath } from '../../config/paths.ts';
import { RigError } from '../../util/rig-error.ts';

const FILE = 'rig/sources.yaml';

export const SOURCES = ['linux', 'qemu', 'seabios'] as const;
const BINARIES = [
  'meson',
  'python3-pycotap',
  'qemu-system-data',
  'busybox-static',
  'dropbear-bin',
  'libc6',
  'libcrypt1',
  'libgmp10',
  'libtomcrypt1',
  'libtommath1',
  'zlib1g',
] as const;

/** A package as Debian knows it. */
export interface WantedPackage {
  readonly name: string;
  readonly kind: 'source' | 'binary';
  /** The suite that has it. */
  readonly suite: string;
  /** How its upstream version has to begin; without one any will do. */
  readonly version?: string | undefined;
  /** The option that makes it superfluous. */
  readonly instead?: string | undefined;
}

/** Of the project that keeps every state its archive ever had, one folder for each. */
const DEBIAN = 'debian.org';

const archive = z
  .strictObject({
    archive: z.union([z.enum(['system', 'snapshot']), z.url()]),
    date: z
      .string()
      .regex(/^\d{8}T\d{6}Z$/, 'is written as 20261128T000000Z')
      .optional(),
    suites: z.union([z.literal('own'), z.array(z.string())]),
    'check-valid-until': z.boolean().default(true),
  })
  .refine(
    (entry) => (entry.archive === 'snapshot') === (entry.date !== undefined),
    'a snapshot has a date, nothing else has one',
  )
  .transform(({ date, ...entry }) => ({
    ...entry,
    archive: entry.archive === 'snapshot' ? `https://snapshot.${DEBIAN}/archive/debian/${String(date)}` : entry.archive,
  }));

const order = z.array(archive);

const source = z
  .strictObject({
    package: z.string(),
    kind: z.enum(['source', 'binary']),
    suite: z.string(),
    version: z.string(),
    instead: z.string().optional(),
  })
  .transform(({ package: name, ...rest }): WantedPackage => ({ name, ...rest }));

const binaries = <Name extends string>(names: readonly Name[]): z.ZodType<Readonly<Record<Name, string>>> =>
  z.record(z.enum(names), z.string());

const sourcesFile = z.strictObject({
  order,
  sources: z.record(z.enum(SOURCES), source),
  binaries: binaries(BINARIES),
  bench: binaries(['virtme-ng']),
  bases: z.record(z.string(), z.string()),
  igt: z.record(z.string(), z.string()),
  userland: z.string(),
  kselftest: z.array(z.string()),
  drgn: z.array(z.string()),
});

export type SourceName = (typeof SOURCES)[number];
export type BinaryName = (typeof BINARIES)[number];
export type SourceOrder = z.output<typeof order>;
type PackageSources = z.output<typeof sourcesFile>;

export async function loadPackageSources(): Promise<PackageSources> {
  const result = sourcesFile.safeParse(parseYaml(await readFile(repositoryPath(FILE), 'utf8')));
  if (result.success) return result.data;
  throw new RigError('usage', `${FILE} is not valid:\n${z.prettifyError(result.error)}`, {
    remedy: `Correct ${FILE}.`,
  });
}

export function wantedBinaries(suites: Readonly<Record<string, string>>): WantedPackage[] {
  return Object.entries(suites).map(([name, suite]) => ({ name, kind: 'binary', suite }));
}
