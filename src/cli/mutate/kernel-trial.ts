/**
 * Kernels with a mutant in them, and the suites on them. A mutant of a module costs that module, which takes the place
 * of the one in the guest's image; any other costs a kernel, an image and templates of its own.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { freshModule } from '../../builds/fresh-files.ts';
import { moduleOf } from '../../builds/kernel/profiled-code.ts';
import { BuildFailure } from '../../builds/tree/build-command.ts';
import { requireSpace } from '../../cache/disk-space.ts';
import type { KernelVariant } from '../../config/flavour.ts';
import type { Plans } from '../../config/plan.ts';
import { planOf, planParts } from '../../plan/plan-parts.ts';
import { prepareRun, type RunRequest } from '../../plan/prepare-run.ts';
import type { RigContext } from '../../plan/rig-context.ts';
import { suiteNames } from '../../plan/suite-files.ts';
import type { Notice } from '../../report/mutants/mutation-report.ts';
import type { TestResult } from '../../report/run-report.ts';
import { testTitle } from '../../report/text/result-text.ts';
import type { Mutant } from '../../series/mutants/mutants.ts';
import type { FailureClass } from '../../util/rig-error.ts';
import { discardTemplatesOf } from '../../vm/clone/template.ts';
import { JudgedRun } from '../run/judged-run.ts';
import { runParts } from '../run/plan-run.ts';
import type { Session } from '../session.ts';
import type { SuiteOutcome, Trial } from './campaign.ts';

/** A kernel, its guest image, a template of a VM, and what a failed test leaves. */
const NEEDED_GIB = 2;

interface TrialOptions {
  readonly filter: RegExp | undefined;
  readonly maxVms: number;
  readonly keep: boolean;
  readonly plans: Plans;
}

export class KernelTrial implements Trial<RigContext> {
  readonly #base: RigContext;
  readonly #request: RunRequest;
  readonly #options: TrialOptions;
  readonly #session: Session;
  #runs = 0;

  constructor(base: RigContext, request: RunRequest, options: TrialOptions, session: Session) {
    this.#base = base;
    this.#request = request;
    this.#options = options;
    const { progress } = session;
    // What a test says of a mutant is no news: one line says what noticed it.
    const quiet = {
      ...progress,
      emit: (event: Parameters<typeof progress.emit>[0]): void => {
        if (event.type !== 'notice') progress.emit(event);
      },
    };
    this.#session = { ...session, progress: quiet };
  }

  async build(mutant?: Mutant): Promise<RigContext | undefined> {
    if (mutant === undefined) return this.#base;
    await requireSpace(NEEDED_GIB, 'A kernel with a mutant');
    const folder = path.join(this.#base.artifacts, mutant.id);
    await mkdir(folder, { recursive: true });
    const patch = path.join(folder, `${mutant.id}.patch`);
    await writeFile(patch, mutant.diff);
    const { variant = {} } = this.#request;
    const mutated = { ...variant, patches: [...(variant.patches ?? []), patch] };
    let module: RigContext | undefined;
    try {
      module = await ifItBuilds(() => this.#withModule(mutant, mutated, folder));
      // Of a work tree that was cleared no module can be built, so it is the kernel that says whether this compiles.
      return module ?? (await ifItBuilds(() => this.#withKernel(mutated)));
    } finally {
      if (!module) await rm(folder, { recursive: true });
    }
  }

  async #withKernel(variant: KernelVariant): Promise<RigContext> {
    return { ...(await prepareRun({ ...this.#request, variant })), endsAtBug: true };
  }

  /** Undefined where the mutant is in no module. */
  async #withModule(mutant: Mutant, variant: KernelVariant, folder: string): Promise<RigContext | undefined> {
    const { build } = this.#base;
    const module = await moduleOf(mutant.file, build.kernel.mutable ?? '');
    if (module === undefined) return undefined;
    const { kernelSource, emit, signal } = this.#request;
    const mutated = { ...build, kernel: { ...build.kernel, variant } };
    const file = await freshModule(module, { build: mutated, kernelSource, folder, emit, signal });
    return { ...this.#base, fresh: [file], endsAtBug: true };
  }

  async run(rig: RigContext, suite: string): Promise<SuiteOutcome> {
    this.#session.signal.throwIfAborted();
    const noticed = new AbortController();
    const signal = AbortSignal.any([this.#session.signal, noticed.signal]);
    const session = { ...this.#session, signal };
    const artifacts = path.join(this.#base.artifacts, String(++this.#runs));
    let failed: TestResult | undefined;
    const onResult = (result: TestResult): void => {
      if (result.failure === undefined || signal.aborted) return;
      failed = result;
      // One is enough.
      noticed.abort(new Error('A test has noticed the mutant.'));
    };
    const began = performance.now();
    try {
      await this.#runAll({ ...rig, artifacts }, suite, session, onResult);
    } catch (error) {
      if (failed === undefined) throw error;
    } finally {
      if (!this.#options.keep) await rm(artifacts, { recursive: true, force: true });
    }
    // What is interrupted has passed nothing.
    this.#session.signal.throwIfAborted();
    const durationMs = Math.round(performance.now() - began);
    return { durationMs, ...(failed ? { failed: noticeOf(failed, suite) } : {}) };
  }

  async #runAll(
    rig: RigContext,
    suite: string,
    session: Session,
    onResult: (result: TestResult) => void,
  ): Promise<void> {
    const { filter, maxVms, plans } = this.#options;
    const plan = planOf([suite], { flavour: rig.selection.flavour }, plans);
    const parts = planParts(plan, plans, await suiteNames());
    const run = new JudgedRun(rig, session, { recorded: false, onResult });
    await runParts(
      parts,
      { of: () => Promise.resolve(rig) },
      { space: plans, filter, maxVms, repeat: 0 },
      session,
      run,
    );
  }

  /** Nobody else has this kernel, or this module. */
  async discard({ build, fresh }: RigContext): Promise<void> {
    for (const { file } of fresh) await rm(path.dirname(file), { recursive: true, force: true });
    if (build.kernel.folder === this.#base.build.kernel.folder) return;
    await discardTemplatesOf(build.kernel.image);
    for (const folder of [build.kernel.folder, path.dirname(build.initrd)])
      await rm(folder, { recursive: true, force: true });
  }
}

async function ifItBuilds(build: () => Promise<RigContext | undefined>): Promise<RigContext | undefined> {
  try {
    return await build();
  } catch (error) {
    if (error instanceof BuildFailure && !error.fullDisk) return undefined;
    throw error;
  }
}

/** The suite that runs the kernel's own unit tests. */
const KUNIT = 'kunit';

function noticeOf(result: TestResult, suite: string): NonNullable<SuiteOutcome['failed']> {
  const { failure = 'infrastructure', message = '', kernelReports } = result;
  const [report] = kernelReports.filter(({ severity, expected }) => severity === 'bug' && !expected);
  const test = testTitle(result).replace(`${result.suite} › `, '');
  return { how: howOf(failure, suite), failure, test, message: report?.title ?? message };
}

function howOf(failure: FailureClass, suite: string): Notice {
  if (failure === 'kernel') return 'kernel report';
  if (failure === 'timeout') return 'time-out';
  if (failure === 'infrastructure') return 'lost VM';
  return suite === KUNIT ? 'kunit' : 'suite';
}
