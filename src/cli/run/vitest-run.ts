/** Runs vitest projects in this process, with our reporter. */
import { rmdir } from 'node:fs/promises';
import type { TestProjectInlineConfiguration } from 'vitest/config';
import type { TestModule, Vitest } from 'vitest/node';
import { repositoryPath } from '../../config/paths.ts';
import { failureMessage } from '../../report/judge/failure-message.ts';
import { isToRun, nameOf, RigReporter, type OnResult } from '../../report/judge/rig-reporter.ts';
import { declaredClass } from '../../report/judge/test-outcome.ts';
import type { TestResult } from '../../report/run-report.ts';
import type { RigContext } from '../../plan/rig-context.ts';
import { suiteNameOf } from '../../plan/suite-files.ts';
import { onAbort } from '../../util/on-abort.ts';
import { RigError } from '../../util/rig-error.ts';
import { untilQemusAreGone } from '../../vm/qemu/lingering-qemus.ts';
import type { Session } from '../session.ts';

/**
 * What ends a process, and for which vitest has listeners that end it at once, some with the exit code of a failed
 * test.
 */
const ENDINGS = ['SIGINT', 'SIGTERM', 'uncaughtException', 'unhandledRejection'] as const;

export interface VitestRequest {
  readonly projects: readonly TestProjectInlineConfiguration[];
  readonly rig: RigContext;
  readonly filter: RegExp | undefined;
  readonly onResult?: OnResult | undefined;
}

export async function runVitest(request: VitestRequest, session: Session): Promise<RigReporter> {
  const vitest = await OpenVitest.open(request, session);
  try {
    return await vitest.run(request.rig, request.filter);
  } finally {
    await vitest.close();
  }
}

/**
 * An instance of vitest that may run its tests again. The second time it starts a second sooner, since it has loaded
 * the code; it does not see edits made since.
 */
export class OpenVitest {
  readonly #vitest: Vitest;
  readonly #reporter: RigReporter;
  readonly #signal: AbortSignal;
  readonly #artifacts = new Set<string>();

  private constructor(vitest: Vitest, reporter: RigReporter, signal: AbortSignal) {
    this.#vitest = vitest;
    this.#reporter = reporter;
    this.#signal = signal;
  }

  static async open(
    { projects, onResult }: Pick<VitestRequest, 'projects' | 'onResult'>,
    { progress, signal }: Session,
  ): Promise<OpenVitest> {
    signal.throwIfAborted();
    // It takes half a second to load, so it is only loaded to run tests.
    const { createVitest } = await import('vitest/node');
    const { LongestFirst } = await import('../../plan/longest-first.ts');
    const reporter = new RigReporter({ emit: progress.emit, onResult, signal });
    const ours = ENDINGS.map((name) => process.rawListeners(name));
    const vitest = await createVitest('test', {
      config: false,
      root: repositoryPath(),
      watch: false,
      sequence: { sequencer: LongestFirst },
      projects: [...projects],
      reporters: [reporter],
      passWithNoTests: true,
    });
    // vitest's listeners would leave VMs running; ours end the run in order.
    for (const [index, name] of ENDINGS.entries()) {
      for (const theirs of process.rawListeners(name).filter((listener) => !ours[index]?.includes(listener))) {
        process.removeListener(name, theirs as () => void);
      }
    }
    return new OpenVitest(vitest, reporter, signal);
  }

  /** The results are those of this run until the next one begins; with those of tests that it did not come to. */
  async run(rig: RigContext, filter: RegExp | undefined): Promise<RigReporter> {
    const vitest = this.#vitest;
    this.#artifacts.add(rig.artifacts);
    vitest.provide('rig', rig);
    if (filter) vitest.setGlobalTestNamePattern(filter);
    else vitest.resetGlobalTestNamePattern();
    const stop = cancelWhenAborted(this.#signal, () => {
      // The caller learns from the run itself how it ends.
      vitest.cancelCurrentRun('keyboard-input').catch(() => undefined);
    });
    try {
      // It may have been aborted while vitest was loaded.
      if (!this.#signal.aborted) await vitest.start();
    } finally {
      stop();
      this.#reporter.addNotRun({ flavour: rig.selection.flavour });
    }
    return this.#reporter;
  }

  /** The tests that would run, in the order of their files' names. */
  async collect(rig: RigContext, filter: RegExp | undefined): Promise<Pick<TestResult, 'suite' | 'test'>[]> {
    this.#vitest.provide('rig', rig);
    if (filter) this.#vitest.setGlobalTestNamePattern(filter);
    const { testModules } = await this.#vitest.collect();
    for (const module of testModules) refuseBroken(module);
    const tests = testModules.flatMap((module) => [...module.children.allTests()]).filter(isToRun);
    return tests.map(nameOf).sort((a, b) => (a.suite < b.suite ? -1 : Number(a.suite > b.suite)));
  }

  async close(): Promise<void> {
    await this.#vitest.close();
    for (const folder of this.#artifacts) {
      // A test that is cancelled while its VM boots does not wait for that VM's end.
      await untilQemusAreGone(folder);
      // The folder stays if artifacts were kept in it.
      await rmdir(folder).catch(() => undefined);
    }
    this.#signal.throwIfAborted();
  }
}

/** Without its tests a list would look like one of a suite that has none. */
function refuseBroken(module: TestModule): void {
  const [error] = module.errors();
  if (error === undefined) return;
  const why = failureMessage([error], [], module.moduleId);
  throw new RigError(
    declaredClass(error) ?? 'usage',
    `The suite ${suiteNameOf(module.moduleId)} can't be loaded: ${why}`,
  );
}

const CANCEL_AGAIN_MS = 500;

/** Cancels repeatedly, since vitest forgets a request from before it has workers. Returns the way to stop. */
function cancelWhenAborted(signal: AbortSignal, cancel: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const stopListening = onAbort(signal, () => {
    cancel();
    timer = setInterval(cancel, CANCEL_AGAIN_MS);
  });
  return () => {
    stopListening();
    clearInterval(timer);
  };
}
