/** Our vitest reporter: tests become steps while they run, and outcomes when they end. */
import type { Reporter, SerializedError, TestCase, TestModule } from 'vitest/node';
import type { FailureClass } from '../../util/rig-error.ts';
import type { Emit, RigEvent } from '../../util/rig-event.ts';
import type { TestResult } from '../run-report.ts';
import { outcomeOf, suiteName, type TestOutcome } from './test-outcome.ts';

export interface TestFile {
  /** In the repository. */
  readonly path: string;
  readonly milliseconds: number;
  /** So many VMs were started through the fixtures. */
  readonly vms: number;
}

type StepEnd = Extract<RigEvent, { type: 'step-end' }>;

export class RigReporter implements Reporter {
  readonly #emit: Emit;
  readonly #onResult: (result: TestResult) => void;
  #outcomes: TestOutcome[] = [];
  #files: TestFile[] = [];

  constructor(emit: Emit, onResult: (result: TestResult) => void = () => undefined) {
    this.#emit = emit;
    this.#onResult = onResult;
  }

  get results(): readonly TestResult[] {
    return this.#outcomes.map(({ result }) => result);
  }

  /** What each file took. */
  get files(): readonly TestFile[] {
    return this.#files;
  }

  get failures(): readonly FailureClass[] {
    return this.#outcomes.flatMap(({ failure }) => failure ?? []);
  }

  /** The same vitest may run its tests again. */
  onTestRunStart(): void {
    this.#outcomes = [];
    this.#files = [];
  }

  /** Tests of whole files are steps where they take long enough to watch; unit tests are not. */
  onTestCaseReady(test: TestCase): void {
    if (isStep(test)) this.#emit({ type: 'step-start', id: test.id, title: titleOf(test) });
  }

  onTestCaseAnnotate(test: TestCase, annotation: { message: string; type: string }): void {
    if (annotation.type === 'notice') this.#emit({ type: 'notice', text: annotation.message });
    if (annotation.type === 'step') this.#emit({ type: 'step-progress', id: test.id, detail: annotation.message });
  }

  onTestCaseResult(test: TestCase): void {
    const outcome = outcomeOf(test);
    this.#outcomes.push(outcome);
    this.#onResult(outcome.result);
    const { durationMs, status } = outcome.result;
    if (isStep(test)) {
      // The last progress ("stressing …") is of no interest once it is over.
      this.#emit({ type: 'step-progress', id: test.id, detail: '' });
      this.#emit({ type: 'step-end', id: test.id, outcome: endOf(outcome), durationMs });
    }
    if (status === 'fail' || status === 'error') this.#emit({ type: 'notice', text: failureText(test, outcome) });
  }

  /** A file that can't even be loaded, or a hook outside of any test, would otherwise pass unseen. */
  onTestModuleEnd(module: TestModule): void {
    const booted = [...module.children.allTests()].filter((test) => 'bootMs' in outcomeOf(test).result.metrics);
    const { duration } = module.diagnostic();
    this.#files.push({ path: module.relativeModuleId, milliseconds: duration, vms: booted.length });
    for (const error of module.errors()) this.#addOutside(suiteName(module.moduleId), error);
  }

  onTestRunEnd(_modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    for (const error of unhandled) this.#addOutside('outside of any test', error);
  }

  #addOutside(suite: string, error: SerializedError): void {
    const result: TestResult = {
      suite,
      test: '(outside of any test)',
      params: {},
      status: 'error',
      failure: 'infrastructure',
      durationMs: 0,
      metrics: {},
      kernelReports: [],
      message: error.message,
    };
    this.#outcomes.push({ result, failure: 'infrastructure' });
    this.#onResult(result);
    this.#emit({ type: 'notice', text: `✘ ${suite}: ${error.stack ?? error.message}` });
  }
}

/** Those that are not even begun are none; those that skip themselves are. */
function isStep(test: TestCase): boolean {
  return test.options.mode === 'run' && ['vm', 'reliability', 'slurm', 'suites', 'benches'].includes(test.project.name);
}

function endOf({ failure, result: { status } }: TestOutcome): StepEnd['outcome'] {
  if (failure) return 'failed';
  return status === 'skip' ? 'skipped' : 'done';
}

function titleOf(test: TestCase): string {
  return `${suiteName(test.module.moduleId)} › ${test.fullName.replaceAll(' > ', ' › ')}`;
}

function failureText(test: TestCase, { result }: TestOutcome): string {
  const message = (result.message ?? '').split('\n').map((line) => `    ${line}`);
  const artifacts = result.artifacts === undefined ? [] : [`    artifacts: ${result.artifacts}`];
  return [`✘ ${titleOf(test)}`, ...message, ...artifacts].join('\n');
}
