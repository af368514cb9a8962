/** A source tree of the user's own, which is never written to: what of it is source, and how it is copied. */

import { readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';

import { RigError } from '../../util/rig-error.ts';
import { runBuildCommand } from './build-command.ts';
import { buildEnvironment } from './build-environment.ts';
import type { EntryWork } from '../../cache/cache-entry.ts';
import { contentKey } from '../../cache/content-key.ts';
import type { WorkTreeSpec } from './work-tree.ts';

export interface SourceTree {
  /** How a person would name these sources: "7.3.4-1~bpo13+1", or a folder and its commit. */
  readonly version: string;
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
  const tree = await realpath(folder).catch(() => folder);
  if (!(await isFile(path.join(tree, marker)))) {
    throw new RigError('usage', `${folder} is not the top folder of ${what}.`, { remedy });
  }
  const commit = await gitCommit(tree);
  const listing = await listTree(tree, commit !== undefined, products);
  return {
    version: commit === undefined ? tree : `${tree} at ${commit.slice(0, 12)}`,
    misfit: 'usage',
    identity: contentKey({ listing: listing.map(({ identity }) => identity) }),
    treeName: contentKey({ tree }),
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

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** Undefined when the tree is not the top folder of a git work tree. */
async function gitCommit(tree: string): Promise<string | undefined> {
  const options = { cwd: tree, env: buildEnvironment(), extendEnv: false, reject: false } as const;
  const result = await execa('git', [...GIT_OPTIONS, 'rev-parse', '--show-cdup', 'HEAD'], options);
  const [up, commit] = result.stdout.split('\n');
  return !result.failed && up === '' ? commit : undefined;
}

/** The tree may be another user's. */
const GIT_OPTIONS = ['-c', 'safe.directory=*'];

interface ListedFile {
  readonly file: string;
  /** Name, size and time: a second's work for the whole tree, where hashing its 1.5 GB would take ten. */
  readonly identity: string;
}

/** All source files. What a build left in the tree is not one: git knows, and elsewhere the usual names tell. */
async function listTree(tree: string, isGit: boolean, products: readonly string[]): Promise<ListedFile[]> {
  const pruned = products.map((pattern) => `-name '${pattern}'`).join(' -o ');
  const names = isGit
    ? `git ${GIT_OPTIONS.map((word) => `'${word}'`).join(' ')} ls-files -z --cached --others --exclude-standard`
    : `find . \\( ${pruned} \\) -prune -o \\( -type f -o -type l \\) -printf '%P\\0'`;
  // A file that git lists may have been deleted: stat complains, and it is not listed.
  const script = `${names} | xargs -0 stat --printf '%n\\t%s %f %.Y\\0' --`;
  const options = { cwd: tree, env: buildEnvironment(), extendEnv: false, reject: false } as const;
  const { stdout } = await execa('sh', ['-c', script], { ...options, maxBuffer: 1 << 30 });
  const records = stdout.split('\0').filter((record) => record !== '');
  return records.map((identity) => ({ identity, file: identity.slice(0, identity.lastIndexOf('\t')) }));
}

interface Copy {
  readonly tree: string;
  readonly files: readonly string[];
  readonly target: string;
  readonly except: readonly string[];
  readonly into: 'nothing' | 'an older copy';
}

/**
 * Makes `target` hold just `files`, but for those in `except`, on which it puts no hand. By content, not by time: what is
 * written gets the present time, so that a build sees the change even when the tree went back to an older file.
 */
async function copyFiles({ tree, files, target, except, into }: Copy, { log, signal, step }: TreeWork): Promise<void> {
  step.progress(`copying ${tree}`);
  // Beside the tree, which is renamed after its first copy.
  const listFile = path.join(path.dirname(target), 'source-files');
  const before = (await readFile(listFile, 'utf8').catch(() => '')).split('\n').filter((file) => file !== '');
  const kept = new Set([...files, ...except]);
  for (const file of before) if (!kept.has(file)) await rm(path.join(target, file), { force: true });
  const hands = new Set(except);
  await writeFile(listFile, files.filter((file) => !hands.has(file)).join('\n'));
  // Reading all of it twice only pays when most of it is there already.
  const compare = into === 'nothing' ? [] : ['--checksum'];
  const options = ['-rlp', '--copy-unsafe-links', ...compare, `--files-from=${listFile}`, '--ignore-missing-args'];
  const argv = ['rsync', ...options, `${tree}/`, target] as const;
  await runBuildCommand({ what: `Copying ${tree}`, argv, cwd: path.dirname(target), log, signal });
}
