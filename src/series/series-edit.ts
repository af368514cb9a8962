/**
 * A kernel tree to work on the series in: a git repository with each patch as a commit, and the driver linked into it.
 */

import { copyFile, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { RigError } from '../util/rig-error.ts';
import type { EntryWork } from '../cache/cache-entry.ts';
import { git, tryGit } from '../builds/tree/git.ts';
import { readSeries, type Patch } from '../builds/tree/patch-series.ts';
import { composeOverlay, graftedFiles } from '../builds/tree/source-overlay.ts';
import type { Graft } from '../builds/tree/source-overlay.ts';

/** What the series is on top of: the pristine sources, with the driver hooked in. */
export const SERIES_BASE = 'refs/tags/dgpu-rig-base';
/** The pristine sources themselves. */
export const PRISTINE = 'refs/tags/dgpu-rig-pristine';
/** The series as it was laid out, or last written back from here. */
export const SERIES_LAID_OUT = 'refs/tags/dgpu-rig-series';

interface EditableTree {
  readonly folder: string;
  /** "Linux 7.3.4-1", for messages and for the first commit. */
  readonly title: string;
  readonly unpack: (folder: string) => Promise<void>;
  readonly patchFolder: string;
  readonly graft: Graft;
}

type Work = Pick<EntryWork, 'signal' | 'step'>;

/** The folder must not exist yet, or be empty. */
export async function createEditableTree(tree: EditableTree, work: Work): Promise<void> {
  const { folder } = tree;
  await requireEmpty(folder);
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RigError('usage', `${folder} can't be made: ${why}`, {
      cause,
      remedy: 'Name a folder in a place that you may write to.',
    });
  });
  try {
    await tree.unpack(folder);
    await commitPristine(tree, work);
    await linkDriver(tree, work);
    await commitSeries(tree, work);
  } catch (error) {
    // It was empty before: a half of it is of no use, and in the way of the next try.
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function requireEmpty(folder: string): Promise<void> {
  const found = await readdir(folder).catch(() => []);
  if (found.length === 0) return;
  const editable = (await tryGit(folder, ['rev-parse', '--verify', '--quiet', SERIES_BASE])).ok;
  throw new RigError('usage', `${folder} exists already.`, {
    remedy: editable
      ? `Work in it and then run ./dgpu-rig kernel refresh ${folder}, or name another folder, or remove this one.`
      : 'Name a folder that does not exist yet.',
  });
}

async function commitPristine({ folder, title }: EditableTree, { step, signal }: Work): Promise<void> {
  step.progress('making it a git repository');
  await git(folder, ['init', '--quiet', '--initial-branch=rig'], { signal });
  // The kernel's .gitignore covers files that are part of its sources.
  await git(folder, ['add', '--all', '--force'], { signal });
  await git(folder, ['commit', '--quiet', '--message', title], { signal });
  await git(folder, ['update-ref', PRISTINE, 'HEAD'], { signal });
}

/** Links, so that an edit here is an edit of the driver; what make leaves beside them stays here. */
async function linkDriver({ folder, title, graft }: EditableTree, { step, signal }: Work): Promise<void> {
  step.progress('linking the driver');
  const scratch = path.join(folder, '.git/overlay');
  const pristine = async (file: string): Promise<string | undefined> =>
    (await tryGit(folder, ['cat-file', '-e', `HEAD:${file}`])).ok ? path.join(folder, file) : undefined;
  const changed = await composeOverlay({ graft }, scratch, { title, misfit: 'usage', pristine });
  const sources = await graftedFiles(graft);
  for (const file of changed) {
    const target = path.join(folder, file);
    const source = sources.get(file);
    await mkdir(path.dirname(target), { recursive: true });
    await rm(target, { force: true });
    // The files that the hooks change are no files of ours.
    await (source === undefined ? copyFile(path.join(scratch, file), target) : symlink(source, target));
  }
  await rm(scratch, { recursive: true, force: true });
  await git(folder, ['add', '--all', '--force', '--', ...changed], { signal });
  const message = 'edgpu, linked from the rig; no part of the series';
  await git(folder, ['commit', '--quiet', '--message', message], { signal });
  await git(folder, ['update-ref', SERIES_BASE, 'HEAD'], { signal });
}

async function commitSeries({ folder, patchFolder, title }: EditableTree, { step, signal }: Work): Promise<void> {
  const series = await readSeries(patchFolder);
  step.progress(`applying ${series.length} patches`);
  if (series.length === 0) return rememberSeries(folder, series);
  const files = series.map(({ file }) => file);
  const { ok, stderr, stdout } = await tryGit(folder, ['am', '--quiet', '--committer-date-is-author-date', ...files], {
    signal,
  });
  if (ok) return rememberSeries(folder, series);
  throw new RigError('usage', `The series does not apply to ${title}:\n${(stderr || stdout).trim()}`, {
    remedy: 'Use a tree of the kernel series that the patches are for.',
  });
}

/** What tells a change made here from one that others made to the series meanwhile. */
export async function rememberSeries(folder: string, series: readonly Patch[]): Promise<void> {
  await git(folder, ['update-ref', SERIES_LAID_OUT, 'HEAD']);
  const memory = await seriesMemory(folder);
  await rm(memory, { recursive: true, force: true });
  await mkdir(memory);
  for (const { name, text } of series) await writeFile(path.join(memory, name), text);
}

/** The folder with the patches as they were then. */
export async function seriesMemory(folder: string): Promise<string> {
  return path.resolve(folder, (await git(folder, ['rev-parse', '--git-dir'])).trim(), 'dgpu-rig-series');
}
