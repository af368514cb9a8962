/** A source tree of the user's own, which is never written to: what of it is source, and how it is copied. */

import { readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';

import { RigError } from '../../util/rig-error.ts';
import { runBuildCommand } from './build-command.ts';
import { buildEnvironment } from './build-environment.ts';
import { git, tryGit } from './git.ts';
import type { EntryWork } from '../../cache/cache-entry.ts';
import { contentKey } from '../../cache/content-key.ts';
import type { WorkTreeSpec } from './work-tree.ts';

export interface SourceTree {
  /** How a person would name these sources: "7.3.4-1~bpo13+1", or a folder and its commit. */
  readonly version: string;
  /** Of a git tree in which all is committed: these very sources can be had by it. */
  readonly commit?: string;
  /** See WorkTreeSpec. */
  readonly misfit: WorkTreeSpec['misfit'];
  /** Changes with any file of the sources. */
  readonly identity: string;
  /** Name of the work tree, which later versions of the same sources go on to use. */
  readonly treeName: string;
  readonly fill: (work: TreeWork) => Pick<WorkTreeSpec, 'unpack' | 'refresh'>;
}

export type TreeWork = Pick<EntryWork, 'log' | 'signal' | 'step'>;

export interface TreeKind {
  /** A file that every such tree has. */
  readonly marker: string;
  readonly what: string;
  readonly remedy: string;
  /** Names of what a build leaves in a tree. */
  readonly products: readonly string[];
}

/** Checks that `folder` is a tree of this kind. */
export async function openUserTree(folder: string, { marker, what, remedy, products }: TreeKind): Promise<SourceTree> {
  const tree = await userTreePath(folder, { marker, what, remedy });
  const commit = await gitCommit(tree);
  const listing = await listTree(tree, commit !== undefined, products);
  return {
    version: commit === undefined ? tree : `${tree} at ${commit.slice(0, 12)}`,
    ...(commit !== undefined && (await isClean(tree)) ? { commit } : {}),
    misfit: 'usage',
    identity: contentKey({ listing: listing.map(({ identity }) => identity) }),
    treeName: contentKey({ tree, list: FILE_LIST }),
    fill: (work) => {
      const files = listing.map(({ file }) => file);
      return {
        unpack: async (target) => copyFiles({ tree, files, target, except: [], into: 'nothing' }, work),
        refresh: {
          from: tree,
          copy: async (target, except) => copyFiles({ tree, files, target, except, into: 'an older copy' }, work),
        },
      };
    },
  };
}

/** The real path of `folder`, which is a tree of this kind. */
export async function userTreePath(
  folder: string,
  { marker, what, remedy }: Omit<TreeKind, 'products'>,
): Promise<string> {
  const tree = await realpath(folder).catch((cause: unknown) => {
    throw new RigError('usage', `There is no folder ${folder}.`, { remedy, cause });
  });
  if (await isFile(path.join(tree, marker))) return tree;
  throw new RigError('usage', `${folder} is not the top folder of ${what}.`, { remedy });
}

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** Undefined when the tree is not the top folder of a git work tree. */
async function gitCommit(tree: string): Promise<string | undefined> {
  const { ok, stdout } = await tryGit(tree, ['rev-parse', '--show-cdup', 'HEAD']);
  const [up, commit] = stdout.split('\n');
  return ok && up === '' ? commit : undefined;
}

/** Without the lock that git takes by itself, to write what it has found out: the tree is not ours. */
async function isClean(tree: string): Promise<boolean> {
  const { ok, stdout } = await tryGit(tree, ['--no-optional-locks', 'status', '--porcelain']);
  return ok && stdout === '';
}

interface ListedFile {
  readonly file: string;
  /** Name, size and time: a second's work for the whole tree, where hashing its 1.5 GB would take ten. */
  readonly identity: string;
}

/** All source files. What a build left in the tree is not one: git knows, and elsewhere the usual names tell. */
async function listTree(tree: string, isGit: boolean, products: readonly string[]): Promise<ListedFile[]> {
  const names = isGit
    ? await git(tree, ['ls-files', '-z', '--cached', '--others', '--exclude-standard'])
    : await foundFiles(tree, products);
  const argv = ['-0', '--no-run-if-empty', 'stat', '--printf', '%n\\t%s %f %.Y\\0', '--'];
  const { exitCode, stdout, stderr } = await execa('xargs', argv, { ...inTree(tree), input: names });
  // A file that git lists may have been deleted: stat complains, and it is not listed.
  if (exitCode !== 0 && exitCode !== STAT_COMPLAINED) throw unreadable(tree, stderr);
  const records = stdout.split('\0').filter((record) => record !== '');
  return records.map((identity) => ({ identity, file: identity.slice(0, identity.lastIndexOf('\t')) }));
}

/** What xargs answers when one of its commands has failed, and all of them were run. */
const STAT_COMPLAINED = 123;

async function foundFiles(tree: string, products: readonly string[]): Promise<string> {
  const pruned = products.flatMap((pattern) => ['-o', '-name', pattern]).slice(1);
  const files = ['(', '-type', 'f', '-o', '-type', 'l', ')', '-printf', '%P\\0'];
  const result = await execa('find', ['.', '(', ...pruned, ')', '-prune', '-o', ...files], inTree(tree));
  if (result.failed) throw unreadable(tree, result.stderr);
  return result.stdout;
}

function inTree(cwd: string): { cwd: string; env: Record<string, string>; extendEnv: false; reject: false } {
  return { cwd, env: buildEnvironment(), extendEnv: false, reject: false };
}

function unreadable(tree: string, why: string): RigError {
  return new RigError('usage', `The files of ${tree} can't be listed: ${why.trim()}`);
}

/** What was copied, each name ended by a zero: all else may be part of one. */
const FILE_LIST = 'source-files-0';

interface Copy {
  readonly tree: string;
  readonly files: readonly string[];
  readonly target: string;
  readonly except: readonly string[];
  readonly into: 'nothing' | 'an older copy';
}

/**
 * Makes `target` hold just `files`, but for those in `except`, which it leaves as they are. By content, not by time:
 * what is written gets the present time, so that a build sees the change even when the tree went back to an older file.
 */
async function copyFiles({ tree, files, target, except, into }: Copy, { log, signal, step }: TreeWork): Promise<void> {
  step.progress(`copying ${tree}`);
  // Beside the tree, which is renamed after its first copy.
  const listFile = path.join(path.dirname(target), FILE_LIST);
  const before = (await readFile(listFile, 'utf8').catch(() => '')).split('\0').filter((file) => file !== '');
  const kept = new Set([...files, ...except]);
  for (const file of before) if (!kept.has(file)) await rm(path.join(target, file), { force: true });
  const excepted = new Set(except);
  await writeFile(listFile, files.filter((file) => !excepted.has(file)).join('\0'));
  // Reading all of it twice only pays when most of it is there already.
  const compare = into === 'nothing' ? [] : ['--checksum'];
  // An editor's temporary file may be gone again.
  const list = ['--from0', `--files-from=${listFile}`, '--ignore-missing-args'];
  const options = ['-rlp', '--copy-unsafe-links', ...compare, ...list];
  const argv = ['rsync', ...options, `${tree}/`, target] as const;
  await runBuildCommand({ what: `Copying ${tree}`, argv, cwd: path.dirname(target), log, signal });
}
