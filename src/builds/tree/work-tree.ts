/**
 * A source tree that stays between builds, so that an edited patch or driver costs an incremental build. Only files
 * whose content changes are written; everything else keeps its time stamp, by which make and ninja decide.
 */

import { readFileSync, realpathSync, statSync } from 'node:fs';
import { access, copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';

import { cacheDirectory } from '../../config/paths.ts';
import { requireSpace } from '../../cache/disk-space.ts';
import { composeOverlay, overlayFrame, patchedOnTop } from './source-overlay.ts';
import type { OverlaySpec } from './source-overlay.ts';

export interface WorkTreeSpec {
  /** What is built; the caller holds a lock for it. */
  readonly kind: string;
  /** Of the pristine sources and of the way they are built; another one is another tree. */
  readonly identity: string;
  /** How messages call the sources: "Linux 7.3.4". */
  readonly title: string;
  /** Whose fault it is when the overlay does not fit: the rig's own sources, or those that the user gave. */
  readonly misfit: 'infrastructure' | 'usage';
  /** Disk space for sources and objects. */
  readonly neededGiB: number;
  /** Puts the pristine sources into the folder, which exists and is empty. */
  readonly unpack: (folder: string) => Promise<void>;
  /** For sources that change at their origin: brings the tree up to date, all but the files in `except`. */
  readonly refresh?: {
    readonly from: string;
    readonly copy: (folder: string, except: readonly string[]) => Promise<void>;
  };
}

export interface WorkTree {
  readonly source: string;
  /** For builds outside of the source folder. */
  readonly output: string;
  /** See BuildCommand: a tree whose build was killed is thrown away at its next use. */
  readonly dirtyMarker: string;
  /** The user's own tree of which this one is a copy. */
  readonly origin?: string;
}

/**
 * What a compiler that runs in `cwd` calls a file of the tree, to the file that a person edits: one of the rig's own,
 * or one of the user's tree. Where the series has changed the latter, it is the copy that has the line which is meant.
 */
export function editedFileOf(
  { source, origin }: Pick<WorkTree, 'source' | 'origin'>,
  cwd: string,
  grafted: ReadonlyMap<string, string>,
): (name: string) => string | undefined {
  return (name) => {
    const copy = path.resolve(cwd, name);
    const file = path.relative(source, copy);
    const users = origin === undefined ? undefined : path.join(origin, file);
    if (users === undefined || !isFile(users)) return grafted.get(file);
    // It may be a link to one of the rig's own.
    return isFile(copy) && readFileSync(users).equals(readFileSync(copy)) ? realpathSync(users) : copy;
  };
}

function isFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}

/** Written at every use. */
const STATE_FILE = 'overlay.json';

/** Of which overlay the tree has all, by `overlayFrame`; not there while one is being applied. */
const FRAME_FILE = 'overlay.frame';

/** The paths that the overlay has taken possession of; their originals are in the folder `pristine`. */
const overlayState = z.strictObject({ files: z.array(z.string()) });

export async function prepareWorkTree(spec: WorkTreeSpec, overlay: OverlaySpec): Promise<WorkTree> {
  const { root, tree } = placeOf(spec);
  if (spec.refresh)
    await rehearse(spec, spec.refresh.from, path.join(path.dirname(root), `rehearsal-${spec.kind}`), overlay);
  if ((await exists(tree.dirtyMarker)) || !(await isKnown(root))) {
    await unpackTree(spec, root);
  } else if (spec.refresh) {
    await refreshTree(spec.refresh, root);
  }
  await mkdir(tree.output, { recursive: true });
  await applyOverlay(spec, root, overlay);
  return tree;
}

/**
 * The short way to a tree of which only these files have changed since its last use; undefined where the long way is
 * needed. Another checkout of the rig, with another series, may have used the tree since.
 */
export async function editWorkTree(
  spec: WorkTreeSpec,
  overlay: OverlaySpec,
  edited: ReadonlyMap<string, string>,
): Promise<WorkTree | undefined> {
  const { root, tree } = placeOf(spec);
  if (edited.size === 0 || (await exists(tree.dirtyMarker)) || !(await isKnown(root))) {
    return undefined;
  }
  const frame = (await readIfThere(path.join(root, FRAME_FILE)))?.toString();
  if (frame !== (await overlayFrame(overlay))) return undefined;
  const owned = new Set(await readOwned(root));
  // A file that is new has no original that could be put back.
  if ([...edited.keys()].some((file) => !owned.has(file))) return undefined;
  const patched = await patchedOnTop(overlay);
  if (patched.some((file) => edited.has(file))) return undefined;
  for (const [to, from] of edited) await update(from, path.join(tree.source, to));
  return tree;
}

function placeOf({ kind, identity, refresh }: WorkTreeSpec): { root: string; tree: WorkTree } {
  const root = path.join(cacheDirectory(), 'work', `${kind}-${identity}`);
  const tree = {
    source: path.join(root, 'src'),
    output: path.join(root, 'out'),
    dirtyMarker: path.join(root, 'dirty'),
    ...(refresh ? { origin: refresh.from } : {}),
  };
  return { root, tree };
}

/** Says that the overlay does not fit before the tree is copied, which takes much longer. */
async function rehearse(spec: WorkTreeSpec, from: string, scratch: string, overlay: OverlaySpec): Promise<void> {
  const pristine = async (file: string): Promise<string | undefined> => {
    const original = path.join(from, file);
    return (await exists(original)) ? original : undefined;
  };
  try {
    await composeOverlay(overlay, scratch, { ...spec, pristine });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function unpackTree(spec: WorkTreeSpec, root: string): Promise<void> {
  await rm(root, { recursive: true, force: true });
  await removeUnused(path.dirname(root), `${spec.kind}-`);
  await requireSpace(spec.neededGiB, `Building ${spec.title}`);
  const unfinished = path.join(root, 'unpacking');
  await mkdir(unfinished, { recursive: true });
  try {
    await spec.unpack(unfinished);
  } catch (error) {
    await rm(root, { recursive: true, force: true });
    throw error;
  }
  await rename(unfinished, path.join(root, 'src'));
  await writeFile(path.join(root, STATE_FILE), JSON.stringify({ files: [] }));
}

/** Trees of older sources. */
async function removeUnused(folder: string, prefix: string): Promise<void> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith(prefix));
  for (const name of names) {
    const used = await stat(path.join(folder, name, STATE_FILE)).catch(() => undefined);
    if (used && Date.now() - used.mtimeMs < UNUSED_MS) continue;
    await rm(path.join(folder, name), { recursive: true, force: true });
  }
}

const UNUSED_MS = 7 * 24 * 3600 * 1000;

/** The files that the overlay owns are brought up to date as originals; in the tree they stay as they were built. */
async function refreshTree({ from, copy }: NonNullable<WorkTreeSpec['refresh']>, root: string): Promise<void> {
  const owned = await readOwned(root);
  for (const file of owned) await update(path.join(from, file), path.join(root, 'pristine', file));
  await copy(path.join(root, 'src'), owned);
}

/** A tree that another version of the rig left may say other things about itself: it is unpacked again. */
async function isKnown(root: string): Promise<boolean> {
  return readOwned(root).then(
    () => true,
    () => false,
  );
}

async function readOwned(root: string): Promise<string[]> {
  return overlayState.parse(JSON.parse(await readFile(path.join(root, STATE_FILE), 'utf8'))).files;
}

async function applyOverlay(spec: WorkTreeSpec, root: string, overlay: OverlaySpec): Promise<void> {
  const source = path.join(root, 'src');
  const originals = path.join(root, 'pristine');
  const scratch = path.join(root, 'scratch');
  const stateFile = path.join(root, STATE_FILE);
  const frameFile = path.join(root, FRAME_FILE);
  const frame = await overlayFrame(overlay);
  const before = new Set(await readOwned(root));
  const pristine = async (file: string): Promise<string | undefined> => {
    const original = path.join(before.has(file) ? originals : source, file);
    return (await exists(original)) ? original : undefined;
  };
  const now = await composeOverlay(overlay, scratch, { ...spec, pristine });
  await rm(frameFile, { force: true });
  // First secure the originals and say so, then change the tree: whatever happens in between, the next run finds its
  // way.
  for (const file of now) if (!before.has(file)) await copyIfThere(path.join(source, file), path.join(originals, file));
  await writeFile(`${stateFile}.new`, JSON.stringify({ files: [...new Set([...before, ...now])].sort() }));
  await rename(`${stateFile}.new`, stateFile);
  for (const file of now) await update(path.join(scratch, file), path.join(source, file));
  for (const file of before) {
    if (!now.includes(file)) await update(path.join(originals, file), path.join(source, file));
  }
  await writeFile(frameFile, frame);
  await rm(scratch, { recursive: true, force: true });
}

/** Makes `to` what `from` is, which may be absent. */
async function update(from: string, to: string): Promise<void> {
  const [wanted, found] = await Promise.all([readIfThere(from), readIfThere(to)]);
  if (wanted === undefined) return rm(to, { force: true });
  if (found !== undefined && wanted.equals(found)) return;
  await mkdir(path.dirname(to), { recursive: true });
  await copyFile(from, to);
}

async function copyIfThere(from: string, to: string): Promise<void> {
  if (!(await exists(from))) return;
  await mkdir(path.dirname(to), { recursive: true });
  await copyFile(from, to);
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
