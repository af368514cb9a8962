/** Runs vitest projects in this process, with our reporter. */
import { rmdir } from 'node:fs/promises';
import type { TestProjectInlineConfiguration } from 'vitest/config';
import { repositoryPath } from '../config/paths.ts';
import { RigReporter } from '../report/rig-reporter.ts';
import type { RigContext } from '../suite/rig-context.ts';
import type { Session } from './session.ts';

export interface VitestRequest {
  readonly projects: readonly TestProjectInlineConfiguration[];
  readonly rig: RigContext;
  readonly filter: RegExp | undefined;
}

export async function runVitest(request: VitestRequest, { progress, signal }: Session): Promise<RigReporter> {
  signal.throwIfAborted();
  // Half a second to load: only for those who run tests.
  const { createVitest } = await import('vitest/node');
  const reporter = new RigReporter(progress.emit);
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
  const cancel = (): void => void vitest.cancelCurrentRun('keyboard-input');
  signal.addEventListener('abort', cancel, { once: true });
  try {
    await vitest.start();
  } finally {
    signal.removeEventListener('abort', cancel);
    await vitest.close();
    // Only where something was kept there is something in it.
    await rmdir(request.rig.artifacts).catch(() => undefined);
  }
  signal.throwIfAborted();
  return reporter;
}
