/** git as the rig runs it on trees of its own: whatever the user has configured, it says the same. */

import { execa } from 'execa';

import { onAbort } from '../../util/on-abort.ts';
import { RigError } from '../../util/rig-error.ts';
import { signalProcess } from '../../util/signal-process.ts';
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

interface GitResult {
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

/**
 * A command that may run for a night and starts commands of the rig, which need its environment; returns its exit code.
 * An abort is for all of them: git starts helpers of its own, which go on without it.
 */
export async function followGit(
  cwd: string,
  args: readonly string[],
  { signal, onLine }: { readonly signal: AbortSignal; readonly onLine: (line: string) => void },
): Promise<number | undefined> {
  const how = { stdin: 'ignore', all: true, buffer: false, reject: false, detached: true } as const;
  const child = execa('git', [...OPTIONS, ...args], { ...how, cwd, env: ENVIRONMENT });
  const stopListening = onAbort(signal, () => {
    if (child.pid !== undefined) signalProcess(-child.pid, 'SIGINT');
  });
  try {
    for await (const line of child.iterable({ from: 'all' })) onLine(line);
    return (await child).exitCode;
  } finally {
    stopListening();
  }
}

/** Standard output of a command that has to succeed. */
export async function git(...args: Parameters<typeof tryGit>): Promise<string> {
  const { ok, stdout, stderr } = await tryGit(...args);
  if (ok) return stdout;
  const [cwd, words] = args;
  throw new RigError('infrastructure', `git ${words.join(' ')} failed in ${cwd}:\n${(stderr || stdout).trim()}`);
}
