/**
 * A run under way: what it has judged so far, in memory and on disk. Whatever ends the run, it is concluded with that.
 */
import { composeReport, runFacts } from '../../report/compose-report.ts';
import { notBegun, notRun, outsideOfTests } from '../../report/judge/rig-reporter.ts';
import { beginUnfinishedRun, type UnfinishedRun } from '../../report/live/unfinished-run.ts';
import type { CutShort, RunReport, TestResult } from '../../report/run-report.ts';
import { testTitle } from '../../report/text/result-text.ts';
import type { Shard } from '../../config/shard.ts';
import type { PlanPart } from '../../plan/plan-parts.ts';
import { suiteNameOf } from '../../plan/suite-files.ts';
import type { RigContext } from '../../plan/rig-context.ts';
import { RigError } from '../../util/rig-error.ts';
import { cutShortBy, type Session } from '../session.ts';

interface JudgedRunOptions {
  readonly shard?: Shard | undefined;
  /** Whether the run is recorded in the history. A shard is not, as it is no run by itself. */
  readonly recorded?: boolean;
  /** Called with each result as it comes. */
  readonly onResult?: (result: TestResult) => void;
}

export class JudgedRun {
  readonly rig: RigContext;
  /** Names of the tests that the filter left out, for a person who has mistyped it. */
  readonly leftOut = new Set<string>();
  readonly #shard: Shard | undefined;
  readonly #onResult: (result: TestResult) => void;
  readonly #unfinished: UnfinishedRun | undefined;
  #results: TestResult[] = [];
  #cutShort: CutShort | undefined;

  constructor(rig: RigContext, { progress }: Pick<Session, 'progress'>, options: JudgedRunOptions = {}) {
    const { shard, recorded = shard === undefined, onResult = () => undefined } = options;
    this.rig = rig;
    this.#shard = shard;
    this.#onResult = onResult;
    this.#unfinished = recorded ? beginUnfinishedRun(runFacts(rig), progress.print) : undefined;
  }

  get results(): readonly TestResult[] {
    return this.#results;
  }

  get report(): RunReport {
    return composeReport(this.rig, this.#results, { shard: this.#shard, cutShort: this.#cutShort });
  }

  get hasFailed(): boolean {
    return this.#results.some(({ failure }) => failure);
  }

  add(result: TestResult): void {
    this.#results.push(result);
    this.#unfinished?.add(result);
    this.#onResult(result);
  }

  /** Adds a result, unless the filter leaves out its test. */
  addOrLeaveOut(result: TestResult, isWanted: boolean): void {
    if (isWanted) this.add(result);
    else this.leftOut.add(testTitle(result));
  }

  /** Replaces all results but the first `from` by what is known of them now. */
  async refine(
    from: number,
    refined: (results: readonly TestResult[]) => Promise<readonly TestResult[]>,
  ): Promise<void> {
    this.#results = [...this.#results.slice(0, from), ...(await refined(this.#results.slice(from)))];
  }

  addNotBegun(parts: readonly PlanPart[], signal: AbortSignal): void {
    for (const { suites, flavour } of parts) {
      for (const suite of suites) this.add(notRun(notBegun(suiteNameOf(suite)), { flavour }, signal));
    }
  }

  /**
   * Does what there is to be judged. An error ends the run, but takes nothing away that is judged; before that it is
   * thrown.
   */
  async judge(work: () => Promise<void>, { signal }: Pick<Session, 'signal'>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const cause: unknown = signal.aborted ? signal.reason : error;
      const cutShort = cutShortBy(cause);
      if (cutShort.how === 'interrupted') {
        this.#cutShort = cutShort;
        return;
      }
      if (this.#results.length === 0) {
        this.#unfinished?.remove();
        throw cause;
      }
      this.#cutShort = cutShort;
      const failure = cause instanceof RigError ? cause.failureClass : 'infrastructure';
      this.add(outsideOfTests('outside of any test', { failure, message: cutShort.message }));
    }
  }

  /** Its results are recorded, and need not stay on disk for the next who looks. */
  recorded(): void {
    this.#unfinished?.remove();
  }
}
