/** Writes the commits of an editable tree back as the series: the same commits give the same files, byte for byte. */

import { access, copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { RigError } from '../util/rig-error.ts';
import { git, tryGit } from './git.ts';
import { readSeries } from './patch-series.ts';
import { PRISTINE, SERIES_BASE } from './series-edit.ts';
import { numberSeries } from './series-numbers.ts';
import type { SeriesCommit } from './series-numbers.ts';

export interface RefreshResult {
  /** Names of patch files. */
  readonly written: readonly string[];
  readonly removed: readonly string[];
  readonly unchanged: readonly string[];
}

/** All or nothing: what is refused leaves the patches as they were. */
export async function refreshSeries(folder: string, patchFolder: string): Promise<RefreshResult> {
  await requireEditableTree(folder);
  await requireClean(folder);
  const commits = await listCommits(folder);
  const numbering = numberSeries(commits, await presentNumbers(patchFolder));
  if ('fault' in numbering) {
    throw new RigError('usage', `The commit ${numbering.fault}.`, {
      remedy: `Change it: git -C ${folder} rebase --interactive ${SERIES_BASE}`,
    });
  }
  const scratch = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-series-'));
  try {
    const names: string[] = [];
    for (const [index, { commit }] of commits.entries()) {
      names.push(await exportCommit(folder, commit, numbering.numbers[index] ?? 0, scratch));
    }
    await requireApplicable(
      folder,
      names.map((name) => path.join(scratch, name)),
    );
    return await replacePatches(patchFolder, scratch, names);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function requireEditableTree(folder: string): Promise<void> {
  const there = await access(folder).then(
    () => true,
    () => false,
  );
  if (there && (await tryGit(folder, ['rev-parse', '--verify', '--quiet', SERIES_BASE])).ok) return;
  throw new RigError('usage', `${folder} is not a tree that kernel edit made.`, {
    remedy: `Make one: ./dgpu-rig kernel edit ${folder}`,
  });
}

async function requireClean(folder: string): Promise<void> {
  const state = path.resolve(folder, (await git(folder, ['rev-parse', '--git-dir'])).trim());
  for (const name of ['rebase-merge', 'rebase-apply', 'MERGE_HEAD', 'CHERRY_PICK_HEAD']) {
    if (!(await exists(path.join(state, name)))) continue;
    throw new RigError('usage', `A rebase or merge is under way in ${folder}.`, {
      remedy: 'Finish or abort it first.',
    });
  }
  const changes = (await git(folder, ['status', '--porcelain', '--untracked-files=all'])).trimEnd();
  if (changes === '') return;
  const lines = changes.split('\n');
  const more = lines.length > SHOWN_CHANGES ? `\n  … and ${lines.length - SHOWN_CHANGES} more` : '';
  const shown = lines.slice(0, SHOWN_CHANGES).map((line) => `  ${line}`);
  throw new RigError('usage', `${folder} has changes that are in no commit:\n${shown.join('\n')}${more}`, {
    remedy: 'Commit them (git commit --fixup and git rebase --autosquash put them where they belong), or discard them.',
  });
}

const SHOWN_CHANGES = 10;

type ListedCommit = SeriesCommit & { readonly commit: string };

async function listCommits(folder: string): Promise<ListedCommit[]> {
  if (!(await tryGit(folder, ['merge-base', '--is-ancestor', SERIES_BASE, 'HEAD'])).ok) {
    throw new RigError('usage', `HEAD of ${folder} is not on top of ${SERIES_BASE}.`, {
      remedy: `Check out the branch with the series: git -C ${folder} checkout rig`,
    });
  }
  const range = `${SERIES_BASE}..HEAD`;
  const merges = (await git(folder, ['rev-list', '--merges', range])).trim();
  if (merges !== '') throw new RigError('usage', `The series of ${folder} has a merge in it: ${merges.slice(0, 12)}.`);
  const commits = (await git(folder, ['rev-list', '--reverse', range])).split('\n').filter((line) => line !== '');
  if (commits.length === 0) throw new RigError('usage', `${folder} has no commit on top of ${SERIES_BASE}.`);
  return Promise.all(
    commits.map(async (commit) => ({
      commit,
      subject: (await git(folder, ['log', '-1', '--format=%s', commit])).trim(),
      files: (await git(folder, ['diff-tree', '-r', '--no-commit-id', '--no-renames', '--name-only', commit]))
        .split('\n')
        .filter((line) => line !== ''),
    })),
  );
}

/** Number by subject. */
async function presentNumbers(patchFolder: string): Promise<Map<string, number>> {
  const series = await readSeries(patchFolder);
  return new Map(series.map(({ name, text }) => [patchSubject(text), Number.parseInt(name, 10)]));
}

/** Long subjects are folded, as in any mail. */
export function patchSubject(text: string): string {
  const [, subject = ''] = /^Subject: ((?:.*\n)(?: .*\n)*)/m.exec(text) ?? [];
  return subject
    .replaceAll('\n', '')
    .replace(/^\[PATCH[^\]]*\] /, '')
    .trim();
}

const FORMAT = ['format-patch', '-1', '--zero-commit', '--no-signature', '--no-numbered', '--no-renames'];

/** Returns the name of the file. */
async function exportCommit(folder: string, commit: string, number: number, to: string): Promise<string> {
  // It says the name that it gave the file.
  const said = await git(folder, [...FORMAT, '--start-number', String(number), '--output-directory', to, commit]);
  return path.basename(said.trim());
}

/** The commits stand on a tree with the driver in it, the patches have to do without. */
async function requireApplicable(folder: string, files: readonly string[]): Promise<void> {
  const env = { GIT_INDEX_FILE: path.join(path.dirname(files[0] ?? ''), 'index') };
  await git(folder, ['read-tree', PRISTINE], { env });
  for (const file of files) {
    const { ok, stderr } = await tryGit(folder, ['apply', '--cached', '--whitespace=nowarn', file], { env });
    if (ok) continue;
    throw new RigError('usage', `${path.basename(file)} needs what is not in the series:\n${stderr.trim()}`, {
      remedy: 'A hunk may be too close to a line that hooks the driver in; move one of them.',
    });
  }
}

async function replacePatches(patchFolder: string, from: string, names: readonly string[]): Promise<RefreshResult> {
  const before = new Map((await readSeries(patchFolder)).map(({ name, text }) => [name, text]));
  const written: string[] = [];
  for (const name of names) {
    if (before.get(name) === (await readFile(path.join(from, name), 'utf8'))) continue;
    await copyFile(path.join(from, name), path.join(patchFolder, name));
    written.push(name);
  }
  const removed = [...before.keys()].filter((name) => !names.includes(name));
  for (const name of removed) await rm(path.join(patchFolder, name));
  return { written, removed, unchanged: names.filter((name) => !written.includes(name)) };
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
