/** One invocation of the CLI: how it shows what it does, and how Ctrl-C ends it. */
import type { Emit } from '../util/rig-event.ts';
import { createProgress, type Progress } from '../report/live/progress.ts';

export interface Session {
  readonly progress: Progress;
  /** Aborted by the first Ctrl-C, with an Interruption as its reason. */
  readonly signal: AbortSignal;
}

export const INTERRUPTED_EXIT_CODE = 130;

export class Interruption extends Error {
  override readonly name = 'Interruption';
}

/** The same, with everything that happens written down, too. */
export function loggedSession(session: Session, log: Emit): Session {
  const { progress } = session;
  const emit: Emit = (event) => {
    progress.emit(event);
    log(event);
  };
  return { ...session, progress: { ...progress, emit } };
}

/** Once: in order, VMs and builds down first. Twice: now; what we started dies with us. */
export function openSession(): Session {
  const progress = createProgress(process.stdout);
  const interruption = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (interruption.signal.aborted) process.exit(INTERRUPTED_EXIT_CODE);
      progress.print('Stopping in order; press Ctrl-C again to stop at once.');
      interruption.abort(new Interruption('The run was interrupted.'));
    });
  }
  return { progress, signal: interruption.signal };
}
