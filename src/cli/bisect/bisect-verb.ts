/**
 * `dgpu-rig bisect`: the commit of a kernel tree since which tests fail, by `git bisect run` with builds from the
 * cache.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { bisect, openBisectTree } from '../../series/bisect-tree.ts';
import { withBuildLock } from '../../cache/build-lock.ts';
import { git, tryGit } from '../../builds/tree/git.ts';
import { EDITABLE_FOLDER, repositoryPath } from '../../config/paths.ts';
import { elapsed } from '../../report/text/elapsed.ts';
import type { FailureRate } from '../../report/judge/failure-rate.ts';
import { EXEC_SUITE, suiteFiles, suiteNameOf } from '../../plan/suite-files.ts';
import {
  confidenceText,
  doubtText,
  GIT_ANSWERS,
  judgeCommit,
  recordedRate,
  runsNeeded,
  type CommitVerdict,
} from './bisect-judgement.ts';
import { stepArguments, type BisectOptions } from './bisect-options.ts';
import { programsOf } from '../options/run-request.ts';
import { openHistory } from '../run/recorded-runs.ts';
import { runRig } from '../rig-process.ts';
import { STOPPING, type Session } from '../session.ts';
import { temporaryFolder } from '../../util/temporary-folder.ts';

/** What a step has to know: it is a process of its own, which git starts. */
const stepFile = z.object({
  tree: z.string(),
  /** The arguments for `run`. */
  arguments: z.array(z.string()),
  runs: z.number(),
  log: z.string(),
});

const loggedStep = z.object({
  commit: z.string(),
  subject: z.string(),
  judgement: z.enum(['good', 'bad', 'skip', 'stop']),
  exitCodes: z.array(z.number()),
  durationMs: z.number(),
});

type LoggedStep = z.infer<typeof loggedStep>;

export async function bisectVerb(suites: readonly string[], options: BisectOptions, session: Session): Promise<number> {
  await suiteFiles(suites);
  await programsOf(options);
  const { progress, signal } = session;
  const onWait = (): void => progress.print('Waiting for another bisection to end.');
  return withBuildLock({ name: 'bisect', signal, onWait }, () => search(suites, options, session));
}

async function search(suites: readonly string[], options: BisectOptions, session: Session): Promise<number> {
  const { progress, signal } = session;
  const kernelSrc = options.kernelSrc ?? EDITABLE_FOLDER;
  const rate = options.rate ?? (await knownRate(kernelSrc, suites, options));
  const runs = runsNeeded(rate);
  const tree = await openBisectTree(kernelSrc, options, signal);
  const scratch = await temporaryFolder('bisect');
  const log = path.join(scratch, 'log');
  try {
    await writeFile(log, '');
    const step = { tree: tree.folder, arguments: stepArguments(suites, options), runs, log };
    const file = path.join(scratch, 'step.json');
    await writeFile(file, JSON.stringify(step));
    progress.print(`Bisecting in ${tree.folder}.\n${confidenceText(rate, options.rate ? 'given' : 'recorded')}`);
    const command = [repositoryPath('dgpu-rig'), 'bisect-step', file] as const;
    // The rigs of the step get the signal, too, and would say so again.
    const onLine = (line: string): void => {
      if (line !== STOPPING) progress.print(line);
    };
    const found = await bisect(tree, command, { signal, onLine }).catch(async (error: unknown) => {
      progress.stop();
      const steps = await readSteps(log);
      process.stdout.write(`${stepTable(steps)}To go on from here: ${remainingRange(steps, options)}\n`);
      throw error;
    });
    progress.stop();
    const steps = await readSteps(log);
    process.stdout.write(stepTable(steps));
    const good = steps.filter(({ judgement }) => judgement === 'good').length;
    const doubt = doubtText(rate, runs, good);
    if ('commit' in found) {
      process.stdout.write(`First bad commit: ${found.commit.slice(0, 12)} ${found.subject}\n${doubt}`);
      return 0;
    }
    const lines = found.candidates.map(({ commit, subject }) => `  ${commit.slice(0, 12)} ${subject}`);
    process.stdout.write(
      `The first bad commit is one of these; those between could not be judged:\n${lines.join('\n')}\n${doubt}`,
    );
    return 0;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Where the history says nothing, every run of a bad commit is taken to fail. */
async function knownRate(
  kernelSrc: string,
  suites: readonly string[],
  { bad, filter, exec }: Pick<BisectOptions, 'bad' | 'filter' | 'exec'>,
): Promise<FailureRate | undefined> {
  const { ok, stdout } = await tryGit(kernelSrc, ['rev-parse', '--verify', '--quiet', `${bad}^{commit}`]);
  if (!ok) return undefined;
  const names = [...suites.map(suiteNameOf), ...(exec ? [EXEC_SUITE] : [])];
  return recordedRate(openHistory().runs(), { commit: stdout.trim(), suites: names, filter });
}

/**
 * One commit, checked out by git: what `git bisect run` calls. A bug of ours must not be taken for one of the commit.
 */
export async function bisectStepVerb(file: string, session: Session): Promise<number> {
  try {
    return await judgeCheckout(file, session);
  } catch (error) {
    if (session.signal.aborted) return GIT_ANSWERS.stop;
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return GIT_ANSWERS.stop;
  }
}

async function judgeCheckout(file: string, { signal }: Session): Promise<number> {
  const step = stepFile.parse(JSON.parse(await readFile(file, 'utf8')));
  const [commit = '', subject = ''] = (await git(step.tree, ['log', '-1', '--format=%H%n%s'])).trim().split('\n');
  const start = performance.now();
  const exitCodes: number[] = [];
  const judgement = await judgeCommit(step.runs, async (index) => {
    process.stdout.write(`\n${commit.slice(0, 12)} ${subject}: run ${String(index)} of at most ${String(step.runs)}\n`);
    const code = await runRig(['run', ...step.arguments, '--kernel-src', step.tree], signal);
    exitCodes.push(code);
    return code;
  });
  const durationMs = Math.round(performance.now() - start);
  await writeFile(step.log, `${JSON.stringify({ commit, subject, judgement, exitCodes, durationMs })}\n`, {
    flag: 'a',
  });
  return GIT_ANSWERS[judgement];
}

async function readSteps(log: string): Promise<LoggedStep[]> {
  const lines = (await readFile(log, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line) => loggedStep.parse(JSON.parse(line)));
}

function stepTable(steps: readonly LoggedStep[]): string {
  return steps.length === 0 ? '' : `\n${steps.map(stepLine).join('\n')}\n\n`;
}

/** Each commit that is judged lies between those that were judged before it: the latest are the closest. */
function remainingRange(steps: readonly LoggedStep[], { good, bad }: Pick<BisectOptions, 'good' | 'bad'>): string {
  const latest = (judgement: CommitVerdict): string | undefined =>
    steps.findLast((step) => step.judgement === judgement)?.commit.slice(0, 12);
  return `--good ${latest('good') ?? good} --bad ${latest('bad') ?? bad}`;
}

const WORDS: Readonly<Record<CommitVerdict, string>> = { good: 'good', bad: 'BAD ', skip: 'skip', stop: 'stop' };

function stepLine({ commit, subject, judgement, exitCodes, durationMs }: LoggedStep): string {
  const times = String(exitCodes.length);
  const last = String(exitCodes.at(-1));
  const exits = judgement === 'good' ? `passed ${times} of ${times}` : `exit ${last} in run ${times}`;
  return `${WORDS[judgement]}  ${commit.slice(0, 12)}  ${subject}  (${exits}; ${elapsed(durationMs)})`;
}
