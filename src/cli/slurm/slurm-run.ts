/** `dgpu-rig run --engine slurm`: a job array, each task of which is a shard of the run; their reports become one. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { artifactsFolder, cacheDirectory, repositoryPath } from '../../config/paths.ts';
import type { LogEvent } from '../../report/live/event-log.ts';
import { mergeShards } from '../../report/past/merge-shards.ts';
import type { CutShort, RunReport } from '../../report/run-report.ts';
import type { PlanPart } from '../../plan/plan-parts.ts';
import { unitCount } from '../../plan/plan-shards.ts';
import { RigError } from '../../util/rig-error.ts';
import { cutShortBy, type Session } from '../session.ts';
import { batchScript, ShardAttempts } from './shard-attempts.ts';
import { ShardProgress } from './shard-progress.ts';
import { cancel, hasEnded, nodeCount, submitArray, taskStates, type TaskState } from './slurm-cluster.ts';

interface SlurmRequest {
  readonly parts: readonly PlanPart[];
  /** How many shards there are; by default this depends on the cluster. */
  readonly shards: number | undefined;
  /** Each shard runs for a given time, however much it has to do. */
  readonly timed: boolean;
  /** All that follows "run" in each job, but for what the engine adds. */
  readonly args: readonly string[];
  readonly keep: boolean;
}

const POLL_MS = 1000;
/** How long a shared filesystem may take to show here what was written on another host. */
const SETTLE_MS = 10_000;
/** How long Slurm's controller may be silent: while it is restarted, jobs go on. */
const NO_ANSWER_MS = 5 * 60_000;
/** Slurm itself kills what has not ended half a minute after it was asked to. */
const CANCEL_MS = 60_000;
/** With several shards a node, one that is lost with its node or takes long is not much of the whole. */
const SHARDS_PER_NODE = 3;
const LAST_WORDS = 15;

export async function runOnSlurm(request: SlurmRequest, session: Session, log: LogEvent): Promise<RunReport> {
  const nodes = await nodeCount();
  const wanted = request.shards ?? nodes * (request.timed ? 1 : SHARDS_PER_NODE);
  const shards = Math.min(unitCount(request.parts), wanted);
  const folder = path.join(
    artifactsFolder(),
    `slurm-${process.pid}-${new Date().toISOString().slice(0, 19)}`.replaceAll(':', ''),
  );
  const job = await submit(folder, shards, request.args);
  session.progress.print(`Slurm job ${job}: ${String(shards)} shards for ${String(nodes)} nodes, in ${folder}`);
  const report = await new SlurmRun({ job, folder, shards }, session, log).end();
  const good = report.summary.fail + report.summary.error === 0 && !report.lostJobs && !report.cutShort;
  if (good && !request.keep) await rm(folder, { recursive: true });
  return report;
}

async function submit(folder: string, shards: number, args: readonly string[]): Promise<string> {
  await mkdir(folder, { recursive: true });
  const script = path.join(folder, 'job.sh');
  const rig = ['env', `DGPU_RIG_CACHE=${cacheDirectory()}`, repositoryPath('dgpu-rig'), 'run', ...args];
  try {
    await writeFile(script, batchScript(folder, rig, shards), { mode: 0o755 });
    return await submitArray(script, shards, path.join(folder, 'slurm-%a.log'));
  } catch (error) {
    await rm(folder, { recursive: true });
    throw error;
  }
}

interface SubmittedRun {
  readonly job: string;
  readonly folder: string;
  readonly shards: number;
}

class SlurmRun {
  readonly #run: SubmittedRun;
  readonly #session: Session;
  readonly #attempts: readonly ShardAttempts[];
  readonly #progress: readonly ShardProgress[];
  /** The states that Slurm told last: it forgets jobs some minutes after their end. */
  readonly #states = new Map<number, TaskState>();
  #answeredAt = performance.now();

  constructor(run: SubmittedRun, session: Session, log: LogEvent) {
    this.#run = run;
    this.#session = session;
    const { folder, shards: of } = run;
    this.#attempts = Array.from(
      { length: of },
      (_, position) => new ShardAttempts(folder, { index: position + 1, of }),
    );
    this.#progress = this.#attempts.map(
      (attempts) => new ShardProgress(attempts, { index: attempts.index, of }, session.progress.emit, log),
    );
  }

  /** Whatever ends it, what its shards have judged is in the report. */
  async end(): Promise<RunReport> {
    const { signal } = this.#session;
    try {
      while (!(await this.#haveAllEnded())) {
        await this.#show();
        await sleep(POLL_MS, undefined, { signal });
      }
      await this.#settle(() => this.#withoutReport(), signal);
    } catch (error) {
      await this.#cancel();
      const cause: unknown = signal.aborted ? signal.reason : error;
      await this.#settle(() => this.#begunWithoutReport());
      const reports = await this.#withReports({ interrupted: true });
      if (reports.length === 0) throw cause;
      return this.#merge(reports, cutShortBy(cause));
    }
    return this.#merge(await this.#withReports());
  }

  /** Waits until the filesystem shows here what was written on the nodes, or nothing is missing any more. */
  async #settle(waiting: () => Promise<readonly ShardAttempts[]>, signal?: AbortSignal): Promise<void> {
    const settled = performance.now() + SETTLE_MS;
    do await this.#show();
    while (
      (await waiting()).length > 0 &&
      (await sleep(POLL_MS, true, signal && { signal })) &&
      performance.now() < settled
    );
  }

  async #haveAllEnded(): Promise<boolean> {
    try {
      const states = await taskStates(this.#run.job);
      this.#answeredAt = performance.now();
      for (const state of states ?? []) this.#states.set(state.index, state);
      return states === undefined || this.#attempts.every(({ index }) => this.#hasEnded(index));
    } catch (error) {
      if (performance.now() - this.#answeredAt > NO_ANSWER_MS) throw error;
      return false;
    }
  }

  #hasEnded(shard: number): boolean {
    const state = this.#states.get(shard);
    return state !== undefined && hasEnded(state);
  }

  async #show(): Promise<void> {
    for (const [position, shown] of this.#progress.entries()) {
      await shown.update();
      if (!this.#hasEnded(position + 1)) continue;
      shown.end(this.#states.get(position + 1)?.state === 'COMPLETED' ? 'done' : 'failed');
    }
  }

  async #withoutReport(how?: { interrupted: true }): Promise<ShardAttempts[]> {
    const reports = await Promise.all(this.#attempts.map((attempts) => attempts.report(how)));
    return this.#attempts.filter((_, position) => reports[position] === undefined);
  }

  async #begunWithoutReport(): Promise<ShardAttempts[]> {
    return (await this.#withoutReport({ interrupted: true })).filter(({ node }) => node !== undefined);
  }

  async #withReports(how?: { interrupted: true }): Promise<RunReport[]> {
    const reports = await Promise.all(this.#attempts.map((attempts) => attempts.report(how)));
    return reports.flatMap((report) => report ?? []);
  }

  async #merge(written: readonly RunReport[], cutShort?: CutShort): Promise<RunReport> {
    const reasons = new Map<number, string>();
    for (const attempts of await this.#withoutReport()) reasons.set(attempts.index, await this.#reason(attempts));
    if (written.length === 0) {
      throw new RigError('infrastructure', `No shard wrote a report. ${reasons.get(1) ?? ''}`);
    }
    return mergeShards(written, { lost: this.#attempts.flatMap(({ lost }) => lost), reasons, cutShort });
  }

  async #reason(attempts: ShardAttempts): Promise<string> {
    const { state = 'unknown', reason = 'unknown' } = this.#states.get(attempts.index) ?? {};
    const words = await attempts.lastWords(LAST_WORDS);
    return `To Slurm it is ${state} (${reason}). It said last:\n${words}\nAll of it is in ${this.#run.folder}.`;
  }

  /** Ends the jobs in order: each rig ends its VMs when it is told to stop. */
  async #cancel(): Promise<void> {
    const { job } = this.#run;
    const { progress } = this.#session;
    progress.print(`Cancelling Slurm job ${job}`);
    await cancel(job);
    const end = performance.now() + CANCEL_MS;
    while (performance.now() < end) {
      const states = await taskStates(job);
      if (states === undefined || states.every(hasEnded)) return;
      await sleep(POLL_MS);
    }
    progress.print(`Slurm job ${job} has not ended yet; squeue --jobs ${job} shows it.`);
  }
}
