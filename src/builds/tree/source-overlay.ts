/** What the rig changes in a foreign source tree (patches, folders of our own, hooks), as the files that result. */

import { chmod, copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { RigError } from '../../util/rig-error.ts';
import { contentKey, folderKey, listFiles } from '../../cache/content-key.ts';
import { applyPatch, readPatches, readSeries, touchedFiles } from './patch-series.ts';
import type { Patch, TreeIdentity } from './patch-series.ts';
import { insertHookLine, parseHooks } from './source-hooks.ts';
import type { LineHook, SourceHook } from './source-hooks.ts';

export interface OverlaySpec {
  /** Applied one after the other. */
  readonly patchFolders?: readonly string[];
  /** Only so many of the patches, for a look into the middle of the series; by default all. */
  readonly patchCount?: number;
  /** A folder of our own that becomes a folder of the tree; its hooks.json wires it in. */
  readonly graft?: Graft;
  /** Paths of a person's own patches, which go on top of all that. */
  readonly onTop?: readonly string[];
  /** Lines for files of the tree, for one way of building it. */
  readonly lines?: readonly LineHook[];
}

export interface Graft {
  readonly folder: string;
  readonly to: string;
  /** Further files, by path in the repository, that belong into the same folder of the tree. */
  readonly alsoCopy?: readonly string[];
}

const HOOKS = 'hooks.json';

/** Part of a cache key: changes with everything that `composeOverlay` reads from the repository. */
export async function overlayKey({ patchFolders, graft, ...own }: OverlaySpec): Promise<string> {
  const extra = await Promise.all((graft?.alsoCopy ?? []).map((file) => readFile(file)));
  return contentKey({
    patches: await patchesKey(patchFolders),
    graft: graft === undefined ? '' : await folderKey(graft.folder, isSource),
    to: graft?.to ?? '',
    extra: extra.map((content) => content.toString('base64')),
    ...(await ownParts(own)),
  });
}

/** The same for all but the graft's own files: what is left when those are brought up to date one by one. */
export async function overlayFrame({ patchFolders, patchCount, graft, ...own }: OverlaySpec): Promise<string> {
  return contentKey({
    patches: await patchesKey(patchFolders),
    count: String(patchCount ?? ''),
    to: graft?.to ?? '',
    hooks: graft === undefined ? '' : await readFile(path.join(graft.folder, HOOKS), 'utf8'),
    ...(await ownParts(own)),
  });
}

async function patchesKey(folders: readonly string[] = []): Promise<string> {
  const keys = folders.map((folder) => folderKey(folder, (file) => file.endsWith('.patch')));
  return (await Promise.all(keys)).join('');
}

/** Of a key: what is not there leaves the key as it was. */
async function ownParts({
  onTop = [],
  lines,
}: Pick<OverlaySpec, 'onTop' | 'lines'>): Promise<{ onTop?: string[]; lines?: string }> {
  return {
    ...(onTop.length === 0 ? {} : { onTop: (await readPatches(onTop)).map(({ text }) => text) }),
    ...(lines === undefined ? {} : { lines: JSON.stringify(lines) }),
  };
}

/** The patches of all folders, in the order in which they are applied. */
export async function overlaySeries({ patchFolders = [], patchCount }: OverlaySpec): Promise<Patch[]> {
  return (await Promise.all(patchFolders.map(readSeries))).flat().slice(0, patchCount);
}

/** The files that a person's own patches change. */
export async function patchedOnTop({ onTop = [] }: OverlaySpec): Promise<string[]> {
  return (await readPatches(onTop)).flatMap(touchedFiles);
}

/** Documents beside the sources must not cause a rebuild. */
function isSource(file: string): boolean {
  return !/\.(md|rst)$/.test(file);
}

/**
 * Writes to `scratch` every file of the tree that differs from the pristine one, and returns their paths; a path that
 * is not there afterwards is one to delete. `pristine` gives the file that holds a path's original.
 */
export async function composeOverlay(
  spec: OverlaySpec,
  scratch: string,
  tree: TreeIdentity & { readonly pristine: (file: string) => Promise<string | undefined> },
): Promise<string[]> {
  const touched = new Set<string>();
  const bring = async (file: string): Promise<void> => {
    if (touched.has(file)) return;
    touched.add(file);
    const original = await tree.pristine(file);
    if (original !== undefined) await copyInto(original, path.join(scratch, file));
  };
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch, { recursive: true });
  const series = await overlaySeries(spec);
  await applySeries(series, scratch, { ...tree, bring });
  if (spec.graft) await applyGraft(spec.graft, scratch, { ...tree, bring });
  const title = series.length === 0 ? tree.title : `${tree.title} with the series`;
  await applySeries(await readPatches(spec.onTop ?? []), scratch, { title, misfit: 'usage', bring });
  for (const hook of spec.lines ?? []) await insertLine(hook, 'The line', scratch, { ...tree, bring });
  return [...touched].sort();
}

interface ScratchTree extends TreeIdentity {
  /** Makes sure that the tree's file is in the scratch folder. */
  readonly bring: (file: string) => Promise<void>;
}

async function applySeries(series: readonly Patch[], scratch: string, tree: ScratchTree): Promise<void> {
  for (const patch of series) {
    for (const file of touchedFiles(patch)) await tree.bring(file);
    await applyPatch(patch, scratch, tree);
  }
}

/** Our own files by their place in the tree. */
export async function graftedFiles({ folder, to, alsoCopy = [] }: Graft): Promise<Map<string, string>> {
  const own = (await listFiles(folder)).filter((file) => isSource(file) && file !== HOOKS);
  return new Map([
    ...own.map((file) => [path.join(to, file), path.join(folder, file)] as const),
    ...alsoCopy.map((file) => [path.join(to, path.basename(file)), file] as const),
  ]);
}

async function applyGraft(graft: Graft, scratch: string, tree: ScratchTree): Promise<void> {
  for (const [target, source] of await graftedFiles(graft)) {
    await tree.bring(target);
    await copyInto(source, path.join(scratch, target));
  }
  const hooksFile = path.join(graft.folder, HOOKS);
  for (const hook of parseHooks(await readFile(hooksFile, 'utf8'), hooksFile))
    await applyHook(hook, graft, scratch, tree);
}

async function applyHook(hook: SourceHook, graft: Graft, scratch: string, tree: ScratchTree): Promise<void> {
  if ('copy' in hook) {
    await tree.bring(hook.to);
    await copyInto(path.join(graft.folder, hook.copy), path.join(scratch, hook.to));
    return;
  }
  await insertLine(hook, path.join(graft.folder, HOOKS), scratch, tree);
}

/** `what` is what does not fit when it doesn't. */
async function insertLine(hook: LineHook, what: string, scratch: string, tree: ScratchTree): Promise<void> {
  await tree.bring(hook.file);
  const file = path.join(scratch, hook.file);
  const content = await readFile(file, 'utf8').catch(() => undefined);
  const result = content === undefined ? { fault: `there is no ${hook.file}` } : insertHookLine(content, hook);
  if ('fault' in result) {
    throw new RigError(tree.misfit, `${what} does not fit ${tree.title}: ${result.fault}.`, {
      remedy: 'Use a tree of the series that the rig is for, or adapt the hook.',
    });
  }
  await writeFile(file, result.text);
}

async function copyInto(from: string, to: string): Promise<void> {
  await mkdir(path.dirname(to), { recursive: true });
  await copyFile(from, to);
  await chmod(to, (await stat(from)).mode);
}
