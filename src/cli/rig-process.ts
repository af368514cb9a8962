/** The rig in a process of its own, for verbs that run it many times. */
import { execa } from 'execa';
import { repositoryPath } from '../config/paths.ts';

/** Its exit code; what it prints goes where this one's output goes. Ends in order on an abort, which is thrown. */
export async function runRig(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { exitCode } = await execa(repositoryPath('dgpu-rig'), argv, {
    stdio: ['ignore', 'inherit', 'inherit'],
    reject: false,
    cancelSignal: signal,
    forceKillAfterDelay: 30_000,
  });
  signal.throwIfAborted();
  // A process without an exit code was killed.
  return exitCode ?? -1;
}
