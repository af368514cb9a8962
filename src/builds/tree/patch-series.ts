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

/** Patches of a person's own, each by the name that it was given by; what is none is told before anything is built. */
export async function readPatches(files: readonly string[]): Promise<Patch[]> {
  return Promise.all(
    files.map(async (given) => {
      const file = path.resolve(given);
      const text = await readFile(file, 'utf8').catch((cause: unknown) => {
        throw new RigError('usage', `--patch ${given}: there is no such file that can be read.`, { cause });
      });
      const encoding = /^Content-Transfer-Encoding: *(base64|quoted-printable)/im.exec(text)?.[1];
      if (encoding !== undefined) {
        throw new RigError('usage', `--patch ${given}: that is a message whose text is encoded (${encoding}).`, {
          remedy: `git mailinfo /dev/null plain.patch < ${given} writes its patch as plain text.`,
        });
      }
      if (touchedFiles({ text }).length > 0) return { name: given, file, text };
      throw new RigError('usage', `--patch ${given}: that is no patch of git's: it has no line "diff --git a/… b/…".`, {
        remedy: 'Write one with git format-patch or git diff. Of a message from a list, save the raw text.',
      });
    }),
  );
}

/** As KCIDB names a set of patches: `sha256sum *.patch | cut -c-64 | sha256sum`; empty for none. */
export function patchsetHash(patches: readonly Pick<Patch, 'text'>[]): string {
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
  return patches.length === 0 ? '' : sha256(patches.map(({ text }) => `${sha256(text)}\n`).join(''));
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

/** git names file and line, and then the file again; the hunk's heading says what a person will look for. */
export function describeRejects({ text }: Patch, stderr: string): string {
  const reasons = stderr.split('\n').filter((line) => line.startsWith('error: '));
  const lines = reasons.filter((line) => !line.endsWith(': patch does not apply'));
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
