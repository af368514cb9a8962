/** Content-addressed cache entries: built once in a temporary folder, renamed into place, checked on every use. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  utimes,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';

import { cacheDirectory } from '../config/paths.ts';
import { RigError } from '../util/rig-error.ts';
import type { Emit } from '../util/rig-event.ts';
import { runStep } from '../util/step.ts';
import type { Step, StepResult } from '../util/step.ts';
import { withBuildLock } from './build-lock.ts';
import { requireCache } from './disk-space.ts';
import { contentKey } from './content-key.ts';

export interface EntrySpec {
  /** Name of the stage: the folder below the cache, the lock, and the step's id. */
  readonly stage: string;
  readonly title: string;
  readonly key: string;
  /** Writes the entry's files below `folder`. */
  readonly build: (work: EntryWork) => Promise<void>;
}

export interface EntryWork {
  readonly folder: string;
  readonly step: Step;
  readonly signal: AbortSignal;
  readonly log: string;
}

/** Beside the files: what they were when the entry was finished. */
const MANIFEST = '.entry.json';

const fileRecord = z.strictObject({
  path: z.string(),
  size: z.number(),
  digest: z.string(),
  /** When these are unchanged, so is the content: no program can set a file's ctime. Then nothing is hashed. */
  ino: z.number(),
  ctimeMs: z.number(),
  /** Permissions; the lists of earlier rigs have none. */
  mode: z.number().optional(),
});
type FileRecord = z.infer<typeof fileRecord>;

const manifest = z.strictObject({ files: z.array(fileRecord) });

/** Entries that no rig used for this long are removed when the stage builds the next one: a day of edits makes many. */
const UNUSED_MS = 3 * 24 * 3600 * 1000;

/** How often a rig says which entries it uses: it may start a VM from them as long as it lives. */
const MARK_EVERY_MS = 3600 * 1000;

const inUse = new Set<string>();
let marking: NodeJS.Timeout | undefined;

/** To be counted up when a stage puts other files into an entry for the same inputs. */
const FORMAT = '3';

/** In the cache, with the format of the rig that wrote to it last. */
const FORMAT_FILE = 'format';

/** Whether the cache was filled by a rig whose entries this one can't use. */
export async function isOtherFormat(): Promise<boolean> {
  const written = await readFile(path.join(cacheDirectory(), FORMAT_FILE), 'utf8').catch(() => undefined);
  const names = await readdir(cacheDirectory()).catch((): string[] => []);
  return written === undefined ? names.includes('packages') : written !== FORMAT;
}

/** Whether there is such an entry, whatever has become of its files since. */
export async function hasEntry({ stage, key }: Pick<EntrySpec, 'stage' | 'key'>): Promise<boolean> {
  return (await readManifest(entryFolder(stage, key))) !== 'absent';
}

function entryFolder(stage: string, key: string): string {
  return path.join(cacheDirectory(), stage, contentKey({ format: FORMAT, key }));
}

/** The folder of the entry, built first when it is missing or damaged. */
export async function obtainEntry(spec: EntrySpec, emit: Emit, signal: AbortSignal): Promise<string> {
  const folder = entryFolder(spec.stage, spec.key);
  return runStep(emit, { id: spec.stage, title: spec.title, signal }, async (step) => {
    signal.throwIfAborted();
    if ((await entryFault(folder)) === undefined) return { outcome: 'cached', value: await markUsed(folder) };
    const onWait = (): void => step.progress('waiting for another rig that is building it');
    const underLock = async (lockedSignal: AbortSignal): Promise<StepResult<string>> => {
      const fault = await entryFault(folder);
      if (fault === undefined) return { outcome: 'cached', value: await markUsed(folder) };
      if (fault !== 'absent') emit({ type: 'notice', text: `${spec.title}: ${fault}; it is built again.` });
      await buildEntry(spec, folder, step, lockedSignal);
      return { outcome: 'done', value: await markUsed(folder) };
    };
    try {
      await requireCache();
      return await withBuildLock({ name: spec.stage, signal, onWait }, underLock);
    } catch (error) {
      throw explainSystemError(error, spec.title);
    }
  });
}

async function buildEntry(spec: EntrySpec, folder: string, step: Step, signal: AbortSignal): Promise<void> {
  const parent = path.dirname(folder);
  await mkdir(parent, { recursive: true });
  await removeLeftovers(parent);
  const temporary = await mkdtemp(path.join(parent, 'tmp-'));
  try {
    const log = path.join(cacheDirectory(), 'logs', `${spec.stage}.log`);
    await rm(log, { force: true });
    await spec.build({ folder: temporary, step, signal, log });
    signal.throwIfAborted();
    await writeManifest(temporary, await describeFiles(temporary));
    await rm(folder, { recursive: true, force: true });
    await rename(temporary, folder);
    await writeFile(path.join(cacheDirectory(), FORMAT_FILE), FORMAT);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** Under the stage's lock every temporary folder is a dead rig's. */
async function removeLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const folder = path.join(parent, name);
    const unused = Date.now() - (await lstat(folder)).mtimeMs > UNUSED_MS;
    if (name.startsWith('tmp-') || unused) await rm(folder, { recursive: true, force: true });
  }
}

/** The folder is marked from now on, as long as this process lives. */
async function markUsed(folder: string): Promise<string> {
  inUse.add(folder);
  marking ??= setInterval(() => inUse.forEach((used) => void touch(used)), MARK_EVERY_MS).unref();
  await touch(folder);
  return folder;
}

async function touch(folder: string): Promise<void> {
  const now = new Date();
  // A cache on a read-only disk is as good.
  await utimes(folder, now, now).catch(() => undefined);
}

/** Undefined when the entry is as it was built; `absent` when there is none; otherwise what is wrong with it. */
async function entryFault(folder: string): Promise<string | undefined> {
  const recorded = await readManifest(folder);
  if (recorded === 'absent' || recorded === 'damaged') {
    return recorded === 'absent' ? 'absent' : 'its list of files is damaged';
  }
  const names = await listEntry(folder);
  const missing = recorded.find(({ path: name }) => !names.includes(name));
  if (missing) return `${missing.path} is missing`;
  const faults = await Promise.all(recorded.map((record) => fileFault(folder, record)));
  const fault = faults.find((found) => found !== 'none' && found !== 'moved');
  if (fault !== undefined) return fault;
  // The cache was copied or restored: the content is right, so remember the new identities.
  if (faults.includes('moved')) await writeManifest(folder, await describeFiles(folder)).catch(() => undefined);
  return undefined;
}

async function fileFault(folder: string, record: FileRecord): Promise<'none' | 'moved' | (string & {})> {
  const file = path.join(folder, record.path);
  const { size, ino, ctimeMs, mode } = await lstat(file);
  if (size !== record.size) return `${record.path} has ${size} bytes instead of ${record.size}`;
  if (ino === record.ino && ctimeMs === record.ctimeMs) return 'none';
  if ((await digest(file)) !== record.digest) return `the content of ${record.path} has changed`;
  if (record.mode === undefined || record.mode === permissions(mode)) return 'moved';
  return chmod(file, record.mode).then(
    () => 'moved',
    () => `${record.path} has other permissions`,
  );
}

async function readManifest(folder: string): Promise<readonly FileRecord[] | 'absent' | 'damaged'> {
  let text: string;
  try {
    text = await readFile(path.join(folder, MANIFEST), 'utf8');
  } catch {
    return 'absent';
  }
  try {
    return manifest.parse(JSON.parse(text)).files;
  } catch {
    return 'damaged';
  }
}

async function writeManifest(folder: string, files: readonly FileRecord[]): Promise<void> {
  const temporary = path.join(folder, `${MANIFEST}.new`);
  await writeFile(temporary, JSON.stringify({ files }));
  await rename(temporary, path.join(folder, MANIFEST));
}

async function describeFiles(folder: string): Promise<FileRecord[]> {
  const names = (await listEntry(folder)).sort();
  return Promise.all(
    names.map(async (name) => {
      const file = path.join(folder, name);
      const { size, ino, ctimeMs, mode } = await lstat(file);
      return { path: name, size, ino, ctimeMs, mode: permissions(mode), digest: await digest(file) };
    }),
  );
}

function permissions(mode: number): number {
  return mode & 0o7777;
}

/** Files and symbolic links below the entry, without the manifest. */
async function listEntry(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .filter((name) => !name.startsWith(MANIFEST));
}

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256');
  if ((await lstat(file)).isSymbolicLink()) return hash.update(`link:${await readlink(file)}`).digest('hex');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

const SYSTEM_ERRORS: Readonly<Record<string, { readonly problem: string; readonly remedy: string }>> = {
  ENOSPC: { problem: 'the disk is full', remedy: 'Free some space, or point DGPU_RIG_CACHE at a larger disk.' },
  EDQUOT: { problem: 'the disk quota is used up', remedy: 'Free some space, or point DGPU_RIG_CACHE at another disk.' },
  EACCES: { problem: 'the cache may not be written', remedy: 'Point DGPU_RIG_CACHE at a folder of your own.' },
  EROFS: { problem: 'the cache is on a read-only disk', remedy: 'Point DGPU_RIG_CACHE at a disk that can be written.' },
};

/** Turns the disk's refusals into a sentence; everything else stays what it is. */
function explainSystemError(error: unknown, title: string): unknown {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return error;
  const known = SYSTEM_ERRORS[error.code];
  if (!known) return error;
  const { problem, remedy } = known;
  return new RigError('infrastructure', `${title}: ${problem} (${cacheDirectory()}).`, { remedy, cause: error });
}
