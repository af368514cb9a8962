/** What the rig asks of Slurm: its own commands, by way of their documented options and formats. */
import { execa } from 'execa';
import { RigError } from '../../util/rig-error.ts';

export interface TaskState {
  readonly index: number;
  /** RUNNING, PENDING, …: "JOB STATE CODES" of squeue(1). */
  readonly state: string;
  readonly node: string;
  /** Why the task waits, or how it ended. */
  readonly reason: string;
}

/** States in which a task has ended for good; in all others it goes on, or begins again. */
const ENDED = new Set([
  'BOOT_FAIL',
  'CANCELLED',
  'COMPLETED',
  'DEADLINE',
  'FAILED',
  'NODE_FAIL',
  'OUT_OF_MEMORY',
  'TIMEOUT',
]);

export function hasEnded({ state }: TaskState): boolean {
  return ENDED.has(state);
}

/** Nodes of the default partition, or of that which sbatch will use by its own variable. */
export async function nodeCount(): Promise<number> {
  const partition = process.env['SBATCH_PARTITION'];
  const which = partition === undefined ? [] : [`--partition=${partition}`];
  const text = await ask('sinfo', ['--noheader', '--responding', '--format=%D', ...which]);
  return Math.max(1, ...text.split('\n').map(Number));
}

/** Returns the id of the job. Partition, account, time limit: by sbatch's own variables (SBATCH_PARTITION, …). */
export async function submitArray(script: string, tasks: number, log: string): Promise<string> {
  const text = await ask('sbatch', [
    '--parsable',
    '--job-name=dgpu-rig',
    `--array=1-${String(tasks)}`,
    // A node for itself: the rig sizes what it runs by what the host has, and measures time.
    '--exclusive',
    '--requeue',
    `--output=${log}`,
    script,
  ]);
  // id;cluster
  const id = text.trim().split(';')[0] ?? '';
  if (/^\d+$/.test(id)) return id;
  throw new RigError('infrastructure', `sbatch did not say which job it made: ${text}`);
}

/** Undefined when Slurm knows nothing of this job any more. */
export async function taskStates(job: string): Promise<TaskState[] | undefined> {
  const { failed, stdout, stderr } = await slurm('squeue', [
    '--noheader',
    '--array',
    '--states=all',
    `--jobs=${job}`,
    '--format=%K|%T|%N|%r',
  ]);
  if (failed && stderr.includes('Invalid job id')) return undefined;
  if (failed) throw complaint('squeue', stderr);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [index = '', state = '', node = '', reason = ''] = line.split('|');
      return { index: Number(index), state, node, reason };
    });
}

export async function cancel(job: string): Promise<void> {
  await ask('scancel', [job]);
}

async function ask(command: string, args: readonly string[]): Promise<string> {
  const { failed, stdout, stderr } = await slurm(command, args);
  if (failed) throw complaint(command, stderr);
  return stdout;
}

async function slurm(
  command: string,
  args: readonly string[],
): Promise<{ failed: boolean; stdout: string; stderr: string }> {
  const result = await execa(command, args, { reject: false, stdin: 'ignore' });
  if (result.code === 'ENOENT') {
    throw new RigError('infrastructure', `There is no ${command} here: this machine is no part of a Slurm cluster.`, {
      remedy:
        'Run it where jobs are submitted. To try it on this machine: sudo apt-get install --no-install-recommends slurm-wlm munge, then test/slurm/cluster.sh start DIR.',
    });
  }
  return result;
}

function complaint(command: string, stderr: string): RigError {
  return new RigError('infrastructure', `${command} failed: ${stderr.trim()}`, {
    remedy: 'sinfo says how the cluster is; SLURM_CONF names its configuration.',
  });
}
