/** One invocation of the CLI: how it shows what it does, and how Ctrl-C ends it. */
import type { Emit } from '../util/rig-event.ts';
import type { CutShort } from '../report/run-report.ts';
import { createProgress, type Progress } from '../report/live/progress.ts';
import { EXIT_CODES, INTERRUPTED_EXIT_CODE, RigError } from '../util/rig-error.ts';
import { ENDING_SIGNALS, endingSignals } from './ending-signals.ts';
import { errorText } from './error-text.ts';

export interface Session {
  readonly progress: Progress;
  /**
   * Aborted by the first Ctrl-C, with an Interruption as its reason; or by an error that nobody has caught, with that.
   */
  readonly signal: AbortSignal;
}

/** Why a run ended that was told to end: this is nobody's error. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
}

/** Why a run does not come to its end. */
export function cutShortBy(cause: unknown): CutShort {
  if (cause instanceof Interruption) return { how: 'interrupted', message: cause.message };
  return { how: 'failed', message: errorText(cause) };
}

/** The same session, which also writes every event to the log. */
export function loggedSession(session: Session, log: Emit): Session {
  const { progress } = session;
  const emit: Emit = (event) => {
    progress.emit(event);
    log(event);
  };
  return { ...session, progress: { ...progress, emit } };
}

/** What a command in a guest prints, or gdb, has standard output to itself. */
export function progressOutput(verb: string | undefined): NodeJS.WriteStream {
  return ['shell', 'gdb', 'crash'].includes(verb ?? '') ? process.stderr : process.stdout;
}

/** What is printed when the first signal has come. */
export const STOPPING = 'Stopping in order; press Ctrl-C again to stop at once.';

/** How long it may take to end in order after an error that may have left anything behind. */
const ORDERLY_END_MS = 60_000;

/**
 * The first signal ends all in order, VMs and builds down first; the second at once, and what we started dies with us.
 */
export function openSession(output: NodeJS.WriteStream = process.stdout): Session {
  const progress = createProgress(output);
  const end = new AbortController();
  const onSignal = endingSignals({
    inOrder: (name) => {
      progress.print(STOPPING);
      end.abort(new Interruption(`${name} told the rig to stop.`));
    },
    atOnce: () => process.exit(INTERRUPTED_EXIT_CODE),
    isEnding: () => end.signal.aborted,
  });
  for (const name of ENDING_SIGNALS) process.on(name, () => onSignal(name));
  // Nobody reads the output any more, as when a terminal is closed.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') end.abort(new Interruption('Nobody reads what the rig prints any more.'));
    else crash(new RigError('infrastructure', `What the rig prints can't be written: ${error.message}`));
  });
  process.stderr.on('error', () => undefined);
  const crash = (error: unknown): void => {
    if (end.signal.aborted) return;
    end.abort(error);
    setTimeout(() => {
      process.stderr.write(`dgpu-rig: ${errorText(error)}\n`);
      process.exit(EXIT_CODES.infrastructure);
    }, ORDERLY_END_MS).unref();
  };
  for (const name of ['uncaughtException', 'unhandledRejection'] as const) {
    // The listener of crash-guard.mjs is for the time before there is a session.
    process.removeAllListeners(name);
    process.on(name, crash);
  }
  return { progress, signal: end.signal };
}
