/** A folder of patches, applied in the order of their names with git's strictness: no fuzz, all or nothing. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { RigError } from '../../util/rig-error.ts';
import type { FailureClass } from '../../util/rig-error.ts';
import { tryGit } from './git.ts';
import { listFiles } from '../../cache/content-key.ts';

export interface Patch {
  readonly name: string;
  readonly file: string;
  readonly text: string;
}

export async function readSeries(folder: string): Promise<Patch[]> {
  const names = (await listFiles(folder)).filter((name) => name.endsWith('.patch'));
  return Promise.all(
    names.map(async (name) => {
      const file = path.join(folder, name);
      return { name, file, text: await readFile(file, 'utf8') };
    }),
  );
}

/** All files that the patch reads or writes, as paths in the tree. */
export function touchedFiles({ text }: Pick<Patch, 'text'>): string[] {
  const paths = [...text.matchAll(/^diff --git a\/(\S+) b\/(\S+)$/gm)].flatMap(([, from, to]) => [from, to]);
  return [...new Set(paths.filter((file) => file !== undefined))];
}

/** A tree, for messages about it. */
export interface TreeIdentity {
  readonly title: string;
  /** The class of failure when a change of ours does not fit into it. */
  readonly misfit: FailureClass;
}

/** Applies one patch to the tree at `cwd`, which need not be a git repository. */
export async function applyPatch(patch: Patch, cwd: string, tree: TreeIdentity): Promise<void> {
  const { ok, stderr } = await tryGit(cwd, ['apply', '--whitespace=nowarn', patch.file], {
    // Inside of some repository, git would take the paths for that repository's.
    env: { GIT_CEILING_DIRECTORIES: path.dirname(cwd) },
  });
  if (ok) return;
  throw new RigError(tree.misfit, `${patch.name} does not apply to ${tree.title}:\n${describeRejects(patch, stderr)}`, {
    remedy: 'Use a tree of the kernel series that the patches are for, or rebase the patches on this one.',
  });
}

/** git names file and line; the hunk's heading says what a person will look for. */
export function describeRejects({ text }: Patch, stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.startsWith('error: '));
  return lines
    .map((line) => {
      const [, file, at] = /^error: patch failed: (.+):(\d+)$/.exec(line) ?? [];
      if (file === undefined || at === undefined) return `  ${line.slice('error: '.length)}`;
      return `  ${file}, hunk ${hunkAt(text, file, at) ?? `at line ${at}`}`;
    })
    .join('\n');
}

function hunkAt(text: string, file: string, line: string): string | undefined {
  const start = text.indexOf(`\n--- a/${file}\n`);
  const ownPart = text.slice(start).split(/\ndiff --git /, 1)[0] ?? '';
  return ownPart
    .split('\n')
    .find((candidate) => candidate.startsWith(`@@ -${line},`) || candidate.startsWith(`@@ -${line} `));
}
