/** Our vitest reporter: tests become steps while they run, and results when they end. */
import type { Reporter, SerializedError, TestCase, TestModule, TestSpecification } from 'vitest/node';
import type { FailureClass } from '../../util/rig-error.ts';
import type { Emit, RigEvent } from '../../util/rig-event.ts';
import { OUTSIDE_OF_TESTS, placeholderResult, type TestResult } from '../run-report.ts';
import { suiteNameOf } from '../../plan/suite-files.ts';
import { failureMessage } from './failure-message.ts';
import { declaredClass, resultOf, resultsOf } from './test-outcome.ts';

export interface TestFile {
  /** The path in the repository. */
  readonly path: string;
  readonly milliseconds: number;
  /** So many VMs were started through the fixtures. */
  readonly vms: number;
}

type StepEnd = Extract<RigEvent, { type: 'step-end' }>;
type Name = Pick<TestResult, 'suite' | 'test'>;

export type OnResult = (result: TestResult, matches: boolean) => void;

interface ReporterOptions {
  readonly emit: Emit;
  /** Called with each result as soon as it is there; does its name match the filter? */
  readonly onResult?: OnResult | undefined;
  /** Once it is aborted, tests end because they are made to. */
  readonly signal: AbortSignal;
}

export class RigReporter implements Reporter {
  readonly #emit: Emit;
  readonly #onResult: OnResult;
  readonly #signal: AbortSignal;
  #results: TestResult[] = [];
  #files: TestFile[] = [];
  /** Tests that are still to be run, by their ids. */
  readonly #tests = new Map<string, Name>();
  /** Ids of the tests that are shown as steps now. */
  readonly #steps = new Set<string>();
  /** Suites whose tests are not known yet. */
  readonly #modules = new Map<string, Name>();

  constructor({ emit, onResult = () => undefined, signal }: ReporterOptions) {
    this.#emit = emit;
    this.#onResult = onResult;
    this.#signal = signal;
  }

  get results(): readonly TestResult[] {
    return this.#results;
  }

  /** What each file took. */
  get files(): readonly TestFile[] {
    return this.#files;
  }

  /** The same vitest may run its tests again. */
  onTestRunStart(specifications: readonly TestSpecification[]): void {
    this.#results = [];
    this.#files = [];
    this.#tests.clear();
    this.#modules.clear();
    for (const { moduleId } of specifications) this.#modules.set(moduleId, notBegun(suiteNameOf(moduleId)));
  }

  onTestModuleCollected(module: TestModule): void {
    this.#modules.delete(module.moduleId);
    for (const test of module.children.allTests()) {
      if (isToRun(test)) this.#tests.set(test.id, nameOf(test));
    }
  }

  /** Tests of whole files are steps where they take long enough to watch; unit tests are not. */
  onTestCaseReady(test: TestCase): void {
    // A run that is cancelled begins tests only to end them.
    if (!isStep(test) || this.#signal.aborted) return;
    this.#steps.add(test.id);
    this.#emit({ type: 'step-start', id: test.id, title: titleOf(test) });
  }

  onTestCaseAnnotate(test: TestCase, annotation: { message: string; type: string }): void {
    if (annotation.type === 'notice') this.#emit({ type: 'notice', text: annotation.message });
    if (annotation.type === 'step') this.#emit({ type: 'step-progress', id: test.id, detail: annotation.message });
  }

  onTestCaseResult(test: TestCase): void {
    // A run that is cancelled tells of tests again that were over.
    if (this.#signal.aborted && !this.#tests.has(test.id)) return;
    const [result, ...cases] = resultsOf(test);
    const judged = !this.#signal.aborted || isJudgedInSpiteOfAbort(result);
    if (this.#steps.delete(test.id)) {
      // The last progress ("stressing …") is of no interest once it is over.
      this.#emit({ type: 'step-progress', id: test.id, detail: '' });
      const outcome = judged ? endOf(result) : 'skipped';
      this.#emit({ type: 'step-end', id: test.id, outcome, durationMs: result.durationMs });
    }
    if (!judged) return;
    this.#tests.delete(test.id);
    for (const each of [result, ...cases]) this.#add(each, isToRun(test));
    const { status } = result;
    if (status === 'fail' || status === 'error') this.#emit({ type: 'notice', text: failureText(test, result) });
  }

  /** An error of a file that can't be loaded, or of a hook outside of any test, would otherwise go unnoticed. */
  onTestModuleEnd(module: TestModule): void {
    this.#modules.delete(module.moduleId);
    const booted = [...module.children.allTests()].filter((test) => 'bootMs' in resultOf(test).metrics);
    const { duration } = module.diagnostic();
    this.#files.push({ path: module.relativeModuleId, milliseconds: duration, vms: booted.length });
    // Without a test in it, it could not be loaded: that is a mistake of whoever wrote it.
    const usual = [...module.children.allTests()].length === 0 ? 'usage' : 'infrastructure';
    for (const error of module.errors()) {
      this.#addOutside(suiteNameOf(module.moduleId), error, declaredClass(error) ?? usual, module.moduleId);
    }
  }

  onTestRunEnd(_modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    // A signal to the whole group of processes may reach a worker before that ignores it.
    const own = unhandled.filter(({ message }) => !this.#signal.aborted || !message.startsWith('[vitest-pool]'));
    for (const error of own) this.#addOutside('outside of any test', error, 'infrastructure', '');
  }

  /** To be called once the run is over, however it ended: what it has not come to is a result, too. */
  addNotRun(params: TestResult['params']): void {
    for (const name of [...this.#tests.values(), ...this.#modules.values()]) {
      this.#add(notRun(name, params, this.#signal));
    }
    this.#tests.clear();
    this.#modules.clear();
  }

  #add(result: TestResult, matches = true): void {
    this.#results.push(result);
    this.#onResult(result, matches);
  }

  #addOutside(suite: string, error: SerializedError, failure: FailureClass, file: string): void {
    const message = failureMessage([error], [], file);
    this.#add(outsideOfTests(suite, { failure, message }));
    this.#emit({ type: 'notice', text: `✘ ${suite}\n${indented(message)}` });
  }
}

/** An error that no test is to blame for. */
export function outsideOfTests(suite: string, error: Pick<TestResult, 'failure' | 'message'>): TestResult {
  return placeholderResult({ suite, test: OUTSIDE_OF_TESTS, status: 'error', ...error });
}

/** The result of a test that the run did not come to. */
export function notRun(name: Name, params: TestResult['params'], { aborted }: AbortSignal): TestResult {
  const message = `not run: ${aborted ? 'interrupted' : 'the run ended before it'}`;
  return placeholderResult({ ...name, params, status: 'skip', notRun: true, message });
}

/** All tests of a suite, which are not known before it is loaded. */
export function notBegun(suite: string): Name {
  return { suite, test: '(not begun)' };
}

/** A test that is made to end fails for that, or is skipped; but no abort makes a kernel report a bug. */
function isJudgedInSpiteOfAbort({ status, failure }: TestResult): boolean {
  return status === 'pass' || failure === 'kernel';
}

/** Does it match the filter? */
export function isToRun(test: TestCase): boolean {
  return test.options.mode === 'run';
}

/** Those that are not even begun are none; those that skip themselves are. */
function isStep(test: TestCase): boolean {
  return isToRun(test) && ['vm', 'reliability', 'slurm', 'suites', 'benches'].includes(test.project.name);
}

function endOf({ failure, status }: TestResult): StepEnd['outcome'] {
  if (failure) return 'failed';
  return status === 'skip' ? 'skipped' : 'done';
}

export function nameOf(test: TestCase): Name {
  return { suite: suiteNameOf(test.module.moduleId), test: test.fullName };
}

function titleOf(test: TestCase): string {
  return `${suiteNameOf(test.module.moduleId)} › ${test.fullName.replaceAll(' > ', ' › ')}`;
}

/** What else the kernel said is in the report; these are for the terminal. */
const MOST_NOTES = 5;

/** The end of the step that it was has named the test already. */
function failureText(test: TestCase, result: TestResult): string {
  const title = isStep(test) ? [] : [`✘ ${titleOf(test)}`];
  const notes = result.kernelReports.filter(({ severity, expected }) => severity === 'note' && !expected);
  const details = [
    result.message ?? '',
    ...notes.slice(0, MOST_NOTES).map((note) => `kernel: ${note.title}`),
    ...(result.artifacts === undefined ? [] : [`artifacts: ${result.artifacts}`]),
    ...(result.evidence === undefined ? [] : [`in them: ${result.evidence.join(', ')}`]),
  ];
  return [...title, indented(details.join('\n'))].join('\n');
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}
