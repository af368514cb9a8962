/** `dgpu-rig mutate`: changes the code in one place after the other, and says which changes no test notices. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { readPatches } from '../../builds/tree/patch-series.ts';
import { contentKey, folderKey } from '../../cache/content-key.ts';
import { cacheDirectory, repositoryPath } from '../../config/paths.ts';
import { loadPlans } from '../../config/plan.ts';
import { prepareRun, type RunRequest } from '../../plan/prepare-run.ts';
import type { RigContext } from '../../plan/rig-context.ts';
import { filesToRun, isOutside, suiteFiles } from '../../plan/suite-files.ts';
import { checkSuites } from '../../plan/suite-syntax.ts';
import { readSources } from '../../report/coverage/coverage-report.ts';
import { readCoverage, type CoverageRecord } from '../../report/coverage/covering-suites.ts';
import { writeWhole } from '../../report/formats/report-files.ts';
import { survivorsOf, type MutationReport } from '../../report/mutants/mutation-report.ts';
import { mutationSummary, mutationText } from '../../report/mutants/mutation-text.ts';
import { accelerationText } from '../../report/text/accelerators.ts';
import { EQUIVALENT_FILE, parseEquivalent } from '../../series/mutants/judged-equivalent.ts';
import { sampled } from '../../series/mutants/sampled.ts';
import { randomSeed } from '../../util/random.ts';
import { EXIT_CODES, INTERRUPTED_EXIT_CODE, RigError } from '../../util/rig-error.ts';
import type { MutateOptions } from '../options/option-table.ts';
import { briefly, checkFiles, runRequest, withBrought } from '../options/run-request.ts';
import { Interruption, type Session } from '../session.ts';
import { Campaign } from './campaign.ts';
import { candidatesIn, requireC } from './candidates.ts';
import { Journal } from './journal.ts';
import { KernelTrial } from './kernel-trial.ts';

const DEFAULT_COUNT = 20;
const USUAL_SUITE = 'smoke';

export async function mutateVerb(names: readonly string[], given: MutateOptions, session: Session): Promise<number> {
  await checkSuites(await suiteFiles(names));
  await checkFiles(given, ['json']);
  const own = await readPatches(given.patch ?? []);
  requireC(own);
  const equivalent = parseEquivalent(await readFile(repositoryPath(EQUIVALENT_FILE), 'utf8'));
  const coverage = await Promise.all((given.coverage ?? []).map(readCoverage));
  const plans = await loadPlans();
  const suites = suitesToRun(names, coverage);
  const { seed = randomSeed(), count = DEFAULT_COUNT, filter, maxVms, keep } = given;
  const request = requestOf({ ...given, seed }, suites, session);
  const rig = await prepareRun(request);
  const { kernel, qemu } = rig.build;
  session.progress.print(
    `Linux ${kernel.version}, QEMU ${qemu.version}, ${accelerationText(rig.acceleration)}, seed ${String(seed)}`,
  );
  const all = await candidatesIn(await readSources(mutableOf(rig)), { own, coverage, suites });
  const left = all.filter(({ mutant }) => !equivalent.has(mutant.id));
  const journal = await openJournal(rig, suites, filter);
  const onJudged = (line: string): void => session.progress.print(line);
  const campaign = new Campaign(
    { candidates: sampled(left, ({ mutant }) => mutant.id, seed), count, journal, onJudged },
    new KernelTrial(rig, request, { filter, maxVms, keep, plans }, session),
  );
  const facts = { kernel: kernel.version, seed, count, candidates: left.length, equivalent: all.length - left.length };
  return conclude(campaign, facts, given.json, session);
}

/** Whatever ends it, what is judged is told; the next campaign finds it in the journal. */
async function conclude(
  campaign: Campaign<RigContext>,
  facts: Pick<MutationReport, 'kernel' | 'seed' | 'count' | 'candidates' | 'equivalent'>,
  json: string | undefined,
  { progress, signal }: Session,
): Promise<number> {
  const error = await campaign.run().then(
    () => undefined,
    (reason: unknown) => (signal.aborted ? signal.reason : reason) as Error,
  );
  const interrupted = error instanceof Interruption;
  const { mutants, unbuilt, suites } = campaign;
  if (error !== undefined && !interrupted && mutants.length + unbuilt.length === 0) throw error;
  const report: MutationReport = {
    ...{ schema: 1, ...facts, unbuilt, suites, mutants },
    ...(interrupted
      ? { interrupted: `Interrupted: ${error.message} With --seed ${facts.seed} it goes on from here.` }
      : {}),
  };
  progress.stop();
  process.stdout.write(`\n${mutationText(report)}${mutationSummary(report)}\n`);
  if (json !== undefined) await writeWhole(json, `${JSON.stringify(report, undefined, 2)}\n`);
  if (interrupted) return INTERRUPTED_EXIT_CODE;
  if (error !== undefined) throw error;
  return survivorsOf(report).length > 0 ? EXIT_CODES.test : 0;
}

/** Those that are named; or those that the coverage is of; or the one of a run of which nothing is named. */
function suitesToRun(names: readonly string[], coverage: readonly CoverageRecord[]): readonly string[] {
  const covered = [...new Set(coverage.flatMap(({ suites }) => suites))].sort();
  if (names.length === 0) return coverage.length > 0 ? covered : [USUAL_SUITE];
  const unknown = coverage.length === 0 ? undefined : names.find((name) => !covered.includes(name));
  if (unknown === undefined) return names;
  throw new RigError('usage', `By --coverage nobody knows what the suite ${unknown} reaches.`, {
    remedy: `It is of ${covered.join(', ')}. Give a further one: ./dgpu-rig coverage ${unknown} --json FILE`,
  });
}

function requestOf(options: MutateOptions, suites: readonly string[], session: Session): RunRequest {
  const request = withBrought(briefly(true, runRequest(options, session)), {
    outside: suites.filter(isOutside),
  });
  return { ...request, variant: { ...request.variant, mutants: true } };
}

function mutableOf({ build }: RigContext): string {
  if (build.kernel.mutable === undefined) throw new Error('A kernel for mutants has no sources beside it');
  return build.kernel.mutable;
}

/** By all that a verdict depends on, but for the seed: a mutant that is judged is judged for each sample. */
async function openJournal(rig: RigContext, suites: readonly string[], filter: RegExp | undefined): Promise<Journal> {
  const { build, selection } = rig;
  const texts = new Map<string, string>();
  for (const suite of suites) {
    const text = await Promise.all((await filesToRun([suite])).map((file) => readFile(file, 'utf8')));
    texts.set(suite, contentKey({ text }));
  }
  const key = contentKey({
    kernel: build.kernel.folder,
    software: [build.qemu.binary, build.initrd],
    selection: JSON.stringify({ ...selection, seed: 0, keep: false }),
    accelerator: rig.acceleration.accelerator,
    filter: String(filter ?? ''),
    testbed: await folderKey(repositoryPath('src/testbed')),
  });
  const textOf = (suite: string): string => texts.get(suite) ?? '';
  return Journal.open(path.join(cacheDirectory(), 'mutants', `${key}.jsonl`), textOf);
}
