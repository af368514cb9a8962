/** `git bisect run` over a kernel tree of the user's, in a clone of its own: the tree itself is not touched. */

import { access, mkdir, realpath, rm } from 'node:fs/promises';
import path from 'node:path';

import { cacheDirectory } from '../config/paths.ts';
import { RigError } from '../util/rig-error.ts';
import { contentKey } from '../cache/content-key.ts';
import { followGit, git, tryGit } from '../builds/tree/git.ts';

interface BisectTree {
  /** Always the same for the same tree, so that what was built of it stays of use. */
  readonly folder: string;
  readonly good: string;
  readonly bad: string;
}

/** The tree's objects are shared, not copied. */
export async function openBisectTree(
  tree: string,
  range: { readonly good: string; readonly bad: string },
  signal: AbortSignal,
): Promise<BisectTree> {
  const origin = await realpath(tree).catch((cause: unknown) => {
    throw new RigError('usage', `There is no kernel tree at ${tree}.`, {
      cause,
      remedy: `Name one with --kernel-src, or lay one out: ./dgpu-rig kernel edit ${tree}`,
    });
  });
  if (!(await tryGit(origin, ['rev-parse', '--git-dir'])).ok) {
    throw new RigError('usage', `${tree} is no git repository, which bisecting needs.`, {
      remedy: 'Name one with --kernel-src.',
    });
  }
  const good = await commitOf(origin, range.good);
  const bad = await commitOf(origin, range.bad);
  if (!(await tryGit(origin, ['merge-base', '--is-ancestor', good, bad])).ok) {
    throw new RigError('usage', `${range.good} is no ancestor of ${range.bad}.`, {
      remedy: 'Give --good a commit from before the one that --bad names.',
    });
  }
  const folder = path.join(cacheDirectory(), 'bisect', contentKey({ origin }));
  if (!(await exists(path.join(folder, '.git')))) {
    await rm(folder, { recursive: true, force: true });
    await mkdir(path.dirname(folder), { recursive: true });
    await git(path.dirname(folder), ['clone', '--quiet', '--shared', '--no-checkout', origin, folder], { signal });
  }
  await tryGit(folder, ['bisect', 'reset']);
  await git(folder, ['fetch', '--quiet', 'origin', '+refs/heads/*:refs/remotes/origin/*', good, bad], { signal });
  await git(folder, ['checkout', '--quiet', '--force', '--detach', bad], { signal });
  return { folder, good, bad };
}

async function commitOf(tree: string, name: string): Promise<string> {
  const { ok, stdout } = await tryGit(tree, ['rev-parse', '--verify', '--quiet', `${name}^{commit}`]);
  if (ok) return stdout.trim();
  throw new RigError('usage', `${tree} has no commit named ${name}.`, {
    remedy: 'Name a commit of the tree that --kernel-src gives.',
  });
}

interface FirstBad {
  readonly commit: string;
  readonly subject: string;
}

/**
 * `step` is run in the tree for each commit that has to be judged, and answers as `git bisect run` wants it to. What
 * git and the step say goes to `onLine`.
 */
export async function bisect(
  { folder, good, bad }: BisectTree,
  step: readonly [string, ...string[]],
  { signal, onLine }: { readonly signal: AbortSignal; readonly onLine: (line: string) => void },
): Promise<FirstBad | { readonly candidates: readonly FirstBad[] }> {
  await git(folder, ['bisect', 'start', bad, good], { signal });
  const exitCode = await followGit(folder, ['bisect', 'run', ...step], { signal, onLine });
  signal.throwIfAborted();
  const log = await git(folder, ['bisect', 'log'], { signal });
  await tryGit(folder, ['bisect', 'reset']);
  return verdictOf(folder, log, exitCode);
}

async function verdictOf(
  folder: string,
  log: string,
  exitCode: number | undefined,
): Promise<FirstBad | { readonly candidates: readonly FirstBad[] }> {
  const first = /^# first bad commit: \[([0-9a-f]+)\]/m.exec(log)?.[1];
  if (first !== undefined) return describe(folder, first);
  const candidates = Array.from(
    log.matchAll(/^# possible first bad commit: \[([0-9a-f]+)\]/gm),
    ([, commit = '']) => commit,
  );
  if (candidates.length > 0)
    return { candidates: await Promise.all(candidates.map((commit) => describe(folder, commit))) };
  throw new RigError('infrastructure', `git bisect did not come to an end (exit code ${String(exitCode)}):\n${log}`);
}

async function describe(folder: string, commit: string): Promise<FirstBad> {
  return { commit, subject: (await git(folder, ['log', '-1', '--format=%s', commit])).trim() };
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
