/** Runs vitest projects in this process, with our reporter. */
import { rmdir } from 'node:fs/promises';
import type { TestProjectInlineConfiguration } from 'vitest/config';
import { repositoryPath } from '../config/paths.ts';
import { RigReporter } from '../report/rig-reporter.ts';
import type { TestResult } from '../report/run-report.ts';
import type { RigContext } from '../suite/rig-context.ts';
import { untilQemusAreGone } from '../vm/lingering-qemus.ts';
import type { Session } from './session.ts';

const INTERRUPTS = ['SIGINT', 'SIGTERM'] as const;

export interface VitestRequest {
  readonly projects: readonly TestProjectInlineConfiguration[];
  readonly rig: RigContext;
  readonly filter: RegExp | undefined;
  readonly onResult?: ((result: TestResult) => void) | undefined;
}

export async function runVitest(request: VitestRequest, { progress, signal }: Session): Promise<RigReporter> {
  signal.throwIfAborted();
  // Half a second to load: only for those who run tests.
  const { createVitest } = await import('vitest/node');
  const reporter = new RigReporter(progress.emit, request.onResult);
  const ours = INTERRUPTS.map((name) => process.listeners(name));
  const vitest = await createVitest('test', {
    config: false,
    root: repositoryPath(),
    watch: false,
    projects: [...request.projects],
    reporters: [reporter],
    provide: { rig: request.rig },
    passWithNoTests: true,
    ...(request.filter ? { testNamePattern: request.filter } : {}),
  });
  // Its own listeners would end this process at once, VMs still running; ours ends the run in order.
  for (const [index, name] of INTERRUPTS.entries()) {
    for (const theirs of process.listeners(name).filter((listener) => !ours[index]?.includes(listener))) {
      process.off(name, theirs);
    }
  }
  const stop = cancelWhenAborted(signal, () => void vitest.cancelCurrentRun('keyboard-input'));
  try {
    // It may have been aborted while vitest was loaded.
    if (!signal.aborted) await vitest.start();
  } finally {
    stop();
    await vitest.close();
    // A test that is cancelled while its VM boots does not wait for that VM's end.
    await untilQemusAreGone(request.rig.artifacts);
    // Only where something was kept there is something in it.
    await rmdir(request.rig.artifacts).catch(() => undefined);
  }
  signal.throwIfAborted();
  return reporter;
}

const CANCEL_AGAIN_MS = 500;

/** Again and again: vitest forgets what it is asked before it has workers. Returns the way to stop. */
function cancelWhenAborted(signal: AbortSignal, cancel: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const start = (): void => {
    cancel();
    timer = setInterval(cancel, CANCEL_AGAIN_MS);
  };
  signal.addEventListener('abort', start, { once: true });
  return () => {
    signal.removeEventListener('abort', start);
    clearInterval(timer);
  };
}
