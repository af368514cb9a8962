/** The cluster of `cluster.sh`, for as long as a test file runs. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { repositoryPath } from '../../src/config/paths.ts';
import { whyNotInstalled } from '../test-packages.ts';

/** Why there can't be a cluster here; undefined where there can. */
export const NO_SLURM = await whyNotInstalled(['slurm-wlm', 'munge']);

export class VirtualCluster {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async start(): Promise<VirtualCluster> {
    const cluster = new VirtualCluster(await mkdtemp(path.join(tmpdir(), 'dgpu-rig-slurm-')));
    await cluster.#script('start');
    return cluster;
  }

  /** For everything that is to talk to it. */
  get environment(): Record<string, string> {
    return { SLURM_CONF: path.join(this.folder, 'slurm.conf'), DGPU_RIG_HISTORY: path.join(this.folder, 'history') };
  }

  async kill(node: string): Promise<void> {
    await this.#script('kill', node);
  }

  async stop(): Promise<void> {
    await this.#script('stop');
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Command lines of all that its jobs have left running. */
  async processes(): Promise<string[]> {
    const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const found = await Promise.all(
      ids.map(async (id) => {
        const environment = await readFile(`/proc/${id}/environ`, 'utf8').catch(() => '');
        const own = environment.includes(`SLURM_CONF=${this.folder}/`) && environment.includes('SLURMD_NODENAME=');
        return own ? (await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim() : '';
      }),
    );
    return found.filter((line) => line !== '');
  }

  async squeue(): Promise<string[]> {
    const { stdout } = await execa('squeue', ['--noheader', '--array', '--format=%T'], { env: this.environment });
    return stdout.split('\n').filter((line) => line !== '');
  }

  async #script(...[verb, ...rest]: readonly string[]): Promise<void> {
    await execa(repositoryPath('test/slurm/cluster.sh'), [String(verb), this.folder, ...rest]);
  }
}
