/**
 * Judges mutants one after the other: each is built, and run with the suites that reach its line, the fastest first,
 * until one notices. What is known already, the journal says.
 */
import type { Catch, JudgedMutant } from '../../report/mutants/mutation-report.ts';
import { mutantTitle, verdictLine } from '../../report/mutants/mutation-text.ts';
import type { Mutant } from '../../series/mutants/mutants.ts';
import { RigError, type FailureClass } from '../../util/rig-error.ts';
import type { Journal, SuiteRun } from './journal.ts';

export interface Candidate {
  readonly mutant: Mutant;
  /** Names of those that reach its line. */
  readonly suites: readonly string[];
}

export interface SuiteOutcome {
  readonly durationMs: number;
  /** The first test that failed. */
  readonly failed?: Omit<Catch, 'suite'> & { readonly failure: FailureClass };
}

/** What builds and runs; a test has another one. */
export interface Trial<Kernel> {
  /** Without a mutant, the code as it is; undefined where the mutant does not compile. */
  readonly build: (mutant?: Mutant) => Promise<Kernel | undefined>;
  readonly run: (kernel: Kernel, suite: string) => Promise<SuiteOutcome>;
  /** The kernel is not needed any more. */
  readonly discard: (kernel: Kernel) => Promise<void>;
}

interface CampaignRequest {
  /** In the order in which they are to be judged. */
  readonly candidates: readonly Candidate[];
  readonly count: number;
  readonly journal: Journal;
  /** A line for people. */
  readonly onJudged: (line: string) => void;
}

export class Campaign<Kernel> {
  readonly mutants: JudgedMutant[] = [];
  readonly unbuilt: Mutant[] = [];
  readonly #request: CampaignRequest;
  readonly #trial: Trial<Kernel>;

  constructor(request: CampaignRequest, trial: Trial<Kernel>) {
    this.#request = request;
    this.#trial = trial;
  }

  /** Whatever ends it, `mutants` and `unbuilt` are what is judged. */
  async run(): Promise<void> {
    const { candidates, count, onJudged } = this.#request;
    await this.#tryWithout(candidates.slice(0, count).flatMap(({ suites }) => suites));
    for (const { mutant, suites } of candidates) {
      if (this.mutants.length === count) return;
      await this.#tryWithout(suites);
      const judged = await this.#judge(mutant, this.#fastestFirst(suites));
      if (judged) this.mutants.push(judged);
      else this.unbuilt.push(mutant);
      onJudged(judged ? verdictLine(judged) : `no kernel ${mutantTitle(mutant)}`);
    }
  }

  /** What they take without a mutant; none may fail. */
  get suites(): { name: string; durationMs: number }[] {
    const names = new Set(this.#request.candidates.flatMap(({ suites }) => suites));
    return [...names].sort().flatMap((name) => {
      const known = this.#request.journal.runOf(name);
      return known ? [{ name, durationMs: known.durationMs }] : [];
    });
  }

  async #tryWithout(suites: readonly string[]): Promise<void> {
    const { journal } = this.#request;
    const unknown = [...new Set(suites)].filter((suite) => journal.runOf(suite) === undefined);
    const kernel = unknown.length === 0 ? undefined : await this.#trial.build();
    if (kernel === undefined) return;
    for (const suite of unknown) {
      const { durationMs, failed } = await this.#trial.run(kernel, suite);
      if (failed) throw failsWithout(suite, failed);
      await journal.add({ suite, durationMs });
    }
  }

  #fastestFirst(suites: readonly string[]): string[] {
    const timeOf = (suite: string): number => this.#request.journal.runOf(suite)?.durationMs ?? 0;
    return [...suites].sort((a, b) => timeOf(a) - timeOf(b));
  }

  /** Undefined where it does not compile. */
  async #judge(mutant: Mutant, suites: readonly string[]): Promise<JudgedMutant | undefined> {
    const { journal } = this.#request;
    if (journal.isUnbuilt(mutant.id)) return undefined;
    const runs = (): SuiteRun[] => suites.flatMap((suite) => journal.runOf(suite, mutant.id) ?? []);
    const catchOf = (): Catch | undefined =>
      runs().flatMap(({ suite, caught }) => (caught ? [{ suite, ...caught }] : []))[0];
    let kernel: Kernel | undefined;
    try {
      for (const suite of suites.filter((name) => journal.runOf(name, mutant.id) === undefined)) {
        if (catchOf()) break;
        const began = kernel === undefined ? performance.now() : undefined;
        kernel ??= await this.#trial.build(mutant);
        if (kernel === undefined) {
          await journal.add({ mutant: mutant.id, builds: false });
          return undefined;
        }
        const built = began === undefined ? {} : { builtMs: Math.round(performance.now() - began) };
        await journal.add({ mutant: mutant.id, suite, ...built, ...(await this.#outcome(kernel, suite)) });
      }
    } finally {
      if (kernel !== undefined) await this.#trial.discard(kernel);
    }
    const caught = catchOf();
    const durationMs = runs().reduce((sum, run) => sum + run.durationMs + (run.builtMs ?? 0), 0);
    return { ...mutant, suites, durationMs, ...(caught ? { caught } : {}) };
  }

  /** A rig that fails is no catch, unless it does so again: a mutant may well cost a VM its connection. */
  async #outcome(kernel: Kernel, suite: string): Promise<{ durationMs: number; caught?: Omit<Catch, 'suite'> }> {
    const first = await this.#trial.run(kernel, suite);
    const outcome = first.failed?.failure === 'infrastructure' ? await this.#trial.run(kernel, suite) : first;
    const { durationMs, failed } = outcome;
    if (failed?.failure === 'usage') throw new RigError('usage', `The suite ${suite} fails: ${failed.message}`);
    if (!failed) return { durationMs };
    const { how, test, message } = failed;
    return { durationMs, caught: { how, test, message } };
  }
}

function failsWithout(suite: string, { failure, test, message }: NonNullable<SuiteOutcome['failed']>): RigError {
  const [first = ''] = message.split('\n');
  return new RigError(
    failure,
    `The suite ${suite} fails without any mutant (${test}: ${first}), so nothing can be judged.`,
    {
      remedy: `Have it pass first, ./dgpu-rig run ${suite}, or name other suites.`,
    },
  );
}
