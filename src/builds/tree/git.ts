/** git as the rig runs it on trees of its own: whatever the user has configured, it says the same. */

import { execa } from 'execa';

import { RigError } from '../../util/rig-error.ts';
import { buildEnvironment } from './build-environment.ts';

/** Of commits that the rig makes itself. */
const NOBODY = { NAME: 'dgpu-rig', EMAIL: 'dgpu-rig@localhost' };

const ENVIRONMENT = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: NOBODY.NAME,
  GIT_AUTHOR_EMAIL: NOBODY.EMAIL,
  GIT_COMMITTER_NAME: NOBODY.NAME,
  GIT_COMMITTER_EMAIL: NOBODY.EMAIL,
};

const OPTIONS = ['-c', 'safe.directory=*', '-c', 'core.abbrev=9', '-c', 'gc.auto=0', '-c', 'core.quotePath=false'];

export interface GitResult {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export async function tryGit(
  cwd: string,
  args: readonly string[],
  extra: { readonly env?: Readonly<Record<string, string>>; readonly signal?: AbortSignal } = {},
): Promise<GitResult> {
  const { failed, stdout, stderr } = await execa('git', [...OPTIONS, ...args], {
    cwd,
    env: buildEnvironment({ ...ENVIRONMENT, ...extra.env }),
    extendEnv: false,
    reject: false,
    maxBuffer: 1 << 28,
    ...(extra.signal ? { cancelSignal: extra.signal } : {}),
  });
  extra.signal?.throwIfAborted();
  return { ok: !failed, stdout, stderr };
}

/** Standard output of a command that has to succeed. */
export async function git(...args: Parameters<typeof tryGit>): Promise<string> {
  const { ok, stdout, stderr } = await tryGit(...args);
  if (ok) return stdout;
  const [cwd, words] = args;
  throw new RigError('infrastructure', `git ${words.join(' ')} failed in ${cwd}:\n${(stderr || stdout).trim()}`);
}
