/** Writes the commits of an editable tree back as the series: the same commits leave the same files, byte for byte. */

import { access, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { RigError } from '../util/rig-error.ts';
import { temporaryFolder } from '../util/temporary-folder.ts';
import { git, tryGit } from '../builds/tree/git.ts';
import { readSeries } from '../builds/tree/patch-series.ts';
import { PRISTINE, rememberSeries, SERIES_BASE, SERIES_LAID_OUT, seriesMemory } from './series-edit.ts';
import { numberSeries } from './series-numbers.ts';
import type { SeriesCommit } from './series-numbers.ts';

interface RefreshResult {
  /** Names of patch files. */
  readonly written: readonly string[];
  readonly removed: readonly string[];
  readonly unchanged: readonly string[];
}

/**
 * All or nothing: what is refused leaves the patches as they were. What others changed in the series since it was laid
 * out stays, unless it was changed here, too, which is refused.
 */
export async function refreshSeries(folder: string, patchFolder: string): Promise<RefreshResult> {
  await requireEditableTree(folder);
  await requireClean(folder);
  const scratch = await temporaryFolder('series');
  try {
    const present = await readSeries(patchFolder);
    const result = mergeSeries(await whatChanged(folder, present, scratch), present, await remembered(folder));
    await requireApplicable(folder, result, scratch);
    const outcome = await replacePatches(patchFolder, present, result);
    await rememberSeries(folder, await readSeries(patchFolder));
    return outcome;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** A commit as a patch, and whether it is as it was laid out. */
interface OwnPatch extends PatchText {
  readonly subject: string;
  readonly unchanged: boolean;
}

interface PatchText {
  readonly name: string;
  readonly text: string;
}

interface OwnSeries {
  readonly patches: readonly OwnPatch[];
  /** Subjects of commits that were laid out and are gone. */
  readonly dropped: ReadonlySet<string>;
}

async function whatChanged(folder: string, present: readonly PatchText[], scratch: string): Promise<OwnSeries> {
  const commits = await listCommits(folder, 'HEAD');
  if (commits.length === 0) throw new RigError('usage', `${folder} has no commit on top of ${SERIES_BASE}.`);
  const laidOut = new Map((await laidOutCommits(folder)).map(({ subject, commit }) => [subject, commit]));
  const subjects = new Set(commits.map(({ subject }) => subject));
  const numbers = numberCommits(folder, commits, present, new Set([...subjects, ...laidOut.keys()]));
  const patches: OwnPatch[] = [];
  for (const [index, { commit, subject }] of commits.entries()) {
    const number = numbers[index] ?? 0;
    const patch = await exportCommit(folder, commit, number, scratch);
    const before = laidOut.get(subject);
    const old = before === undefined ? undefined : await exportCommit(folder, before, number, scratch);
    patches.push({ ...patch, subject, unchanged: old?.text === patch.text });
  }
  return { patches, dropped: new Set([...laidOut.keys()].filter((subject) => !subjects.has(subject))) };
}

async function laidOutCommits(folder: string): Promise<ListedCommit[]> {
  const known = await tryGit(folder, ['rev-parse', '--verify', '--quiet', SERIES_LAID_OUT]);
  return known.ok ? listCommits(folder, SERIES_LAID_OUT) : [];
}

/** Patches of others keep their numbers; ours don't take them. */
function numberCommits(
  folder: string,
  commits: readonly SeriesCommit[],
  present: readonly PatchText[],
  known: ReadonlySet<string>,
): readonly number[] {
  const numberOf = ({ name }: PatchText): number => Number.parseInt(name, 10);
  const taken = new Set(present.filter(({ text }) => !known.has(patchSubject(text))).map(numberOf));
  const bySubject = new Map(present.map((patch) => [patchSubject(patch.text), numberOf(patch)]));
  const numbering = numberSeries(commits, bySubject, taken);
  if ('numbers' in numbering) return numbering.numbers;
  throw new RigError('usage', `The commit ${numbering.fault}.`, {
    remedy: `Change it: git -C ${folder} rebase --interactive ${SERIES_BASE}`,
  });
}

/** The series as it will be. */
function mergeSeries(
  { patches, dropped }: OwnSeries,
  present: readonly PatchText[],
  before: ReadonlyMap<string, string>,
): PatchText[] {
  const theirs = new Map(present.map((patch) => [patchSubject(patch.text), patch]));
  const changedByOthers = (subject: string): boolean => theirs.get(subject)?.text !== before.get(subject);
  const changed = [...patches.filter(({ unchanged }) => !unchanged).map(({ subject }) => subject), ...dropped];
  const conflict = changed.find((subject) => before.has(subject) && changedByOthers(subject));
  if (conflict !== undefined) {
    throw new RigError('usage', `"${conflict}" was changed here, and in the series meanwhile.`, {
      remedy: 'Lay the series out again in another folder, and bring your change there.',
    });
  }
  const merged = new Map(theirs);
  for (const subject of dropped) merged.delete(subject);
  for (const { subject, unchanged, name, text } of patches) {
    const other = theirs.get(subject);
    // What is unchanged here may have been changed or removed by others, and its number may have moved.
    if (!unchanged) merged.set(subject, { name, text });
    else if (other) merged.set(subject, { name, text: other.text });
  }
  return [...merged.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** By subject. */
async function remembered(folder: string): Promise<Map<string, string>> {
  const memory = await seriesMemory(folder);
  const series = (await exists(memory)) ? await readSeries(memory) : [];
  return new Map(series.map(({ text }) => [patchSubject(text), text]));
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

async function listCommits(folder: string, tip: 'HEAD' | typeof SERIES_LAID_OUT): Promise<ListedCommit[]> {
  if (tip === 'HEAD' && !(await tryGit(folder, ['merge-base', '--is-ancestor', SERIES_BASE, tip])).ok) {
    throw new RigError('usage', `HEAD of ${folder} is not on top of ${SERIES_BASE}.`, {
      remedy: `Check out the branch with the series: git -C ${folder} checkout rig`,
    });
  }
  const range = `${SERIES_BASE}..${tip}`;
  const merges = (await git(folder, ['rev-list', '--merges', range])).trim();
  if (merges !== '') throw new RigError('usage', `The series of ${folder} has a merge in it: ${merges.slice(0, 12)}.`);
  const commits = (await git(folder, ['rev-list', '--reverse', range])).split('\n').filter((line) => line !== '');
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

/** Long subjects are folded, as in any mail. */
export function patchSubject(text: string): string {
  const [, subject = ''] = /^Subject: ((?:.*\n)(?: .*\n)*)/m.exec(text) ?? [];
  return subject
    .replaceAll('\n', '')
    .replace(/^\[PATCH[^\]]*\] /, '')
    .trim();
}

const FORMAT = ['format-patch', '-1', '--zero-commit', '--no-signature', '--no-numbered', '--no-renames'];

async function exportCommit(folder: string, commit: string, number: number, to: string): Promise<PatchText> {
  // It says the name that it gave the file.
  const said = await git(folder, [...FORMAT, '--start-number', String(number), '--output-directory', to, commit]);
  const file = path.resolve(folder, said.trim());
  return { name: path.basename(file), text: await readFile(file, 'utf8') };
}

/** The commits stand on a tree with the driver in it, the patches have to do without. */
async function requireApplicable(folder: string, series: readonly PatchText[], scratch: string): Promise<void> {
  const env = { GIT_INDEX_FILE: path.join(scratch, 'index') };
  await git(folder, ['read-tree', PRISTINE], { env });
  for (const { name, text } of series) {
    const file = path.join(scratch, name);
    await writeFile(file, text);
    const { ok, stderr } = await tryGit(folder, ['apply', '--cached', '--whitespace=nowarn', file], { env });
    if (ok) continue;
    throw new RigError('usage', `${name} needs what is not in the series:\n${stderr.trim()}`, {
      remedy:
        'A hunk may be too close to a line that hooks the driver in, and has to move; or it is on top of a patch that has changed.',
    });
  }
}

async function replacePatches(
  patchFolder: string,
  present: readonly PatchText[],
  series: readonly PatchText[],
): Promise<RefreshResult> {
  const before = new Map(present.map(({ name, text }) => [name, text]));
  const changed = series.filter(({ name, text }) => before.get(name) !== text);
  for (const { name, text } of changed) await writeFile(path.join(patchFolder, name), text);
  const names = series.map(({ name }) => name);
  const removed = [...before.keys()].filter((name) => !names.includes(name));
  for (const name of removed) await rm(path.join(patchFolder, name));
  const written = changed.map(({ name }) => name);
  return { written, removed, unchanged: names.filter((name) => !written.includes(name)) };
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
