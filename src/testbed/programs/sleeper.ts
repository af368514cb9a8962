/** The program in the guest whose objects have to survive: edgpu-stress sleeper, over any number of suspends. */
import { RigError } from '../../util/rig-error.ts';
import type { Guest } from '../guest/guest.ts';
import { programReport, type ProgramReport } from './stress-program.ts';

export interface SleeperOptions {
  /** Which of the machine's devices, from 0. */
  readonly unit?: number;
  /** Objects in VRAM, and in system memory. */
  readonly vram: number;
  readonly system: number;
  readonly objectSize: number;
  readonly seed: number;
  readonly caching?: 'cached' | 'wc' | 'uc';
  /** Engines that copy and hash the objects all the time. */
  readonly busy?: boolean;
  /** Threads, each of which writes to an object in VRAM by mmap, and misses no write of its own. */
  readonly writers?: number;
  /** Each object is a dma-buf, too. */
  readonly exported?: boolean;
  /** Those in system memory are pinned by the second device. */
  readonly pinned?: boolean;
  /** So many more in VRAM, of which nobody needs the content. */
  readonly purgeable?: number;
  /** Others want the VRAM, too: where its objects are is not for it to say. */
  readonly overcommitted?: boolean;
  /** The folder of the cgroup that it is started in. */
  readonly cgroup?: string;
  /** A thread that has read(2) write to VRAM from a pipe that another one fills. */
  readonly pipe?: boolean;
  /**
   * Of another object in VRAM: the second device attaches to it and detaches; a debugger writes to it; write(2) reads
   * from it, to /run/store.
   */
  readonly visitors?: readonly ('attached' | 'debugged' | 'filed')[];
}

/** Minutes, where seconds are usual: for a host with other work to do. */
const DEADLINE_MS = 300_000;

export class Sleeper {
  static #started = 0;
  readonly #guest: Guest;
  readonly #pid: string;
  readonly #log: string;
  #verified = 0;

  private constructor(guest: Guest, pid: string, log: string) {
    this.#guest = guest;
    this.#pid = pid;
    this.#log = log;
  }

  /** Returns when all objects are where they are to be. */
  static async start(guest: Guest, options: SleeperOptions): Promise<Sleeper> {
    const log = `/run/sleeper-${String(++Sleeper.#started)}.log`;
    // A session of its own: it outlives the one that started it, which S4 ends.
    const join = options.cgroup === undefined ? '' : `echo 0 > ${options.cgroup}/cgroup.procs && `;
    const pid = await guest.run(
      `EDGPU_UNIT=${String(options.unit ?? 0)} sh -c '${join}exec setsid edgpu-stress sleeper ${wordsOf(options)}' < /dev/null > ${log} 2>&1 & ` +
        `until grep -qs holding ${log}; do kill -0 $! 2> /dev/null || { cat ${log}; exit 1; }; sleep 0.2; done; echo $!`,
      { deadlineMs: DEADLINE_MS },
    );
    return new Sleeper(guest, pid.trim(), log);
  }

  get pid(): string {
    return this.#pid;
  }

  /** All that is wrong with what it holds, if anything: content by CPU and by device, and where it is. */
  async verify(): Promise<string | undefined> {
    const turn = ++this.#verified;
    const said = await this.#guest.run(
      `kill -USR1 ${this.#pid}; until grep '^verified ${String(turn)} ' ${this.#log}; do kill -0 ${this.#pid} 2> /dev/null || { cat ${this.#log}; exit 1; }; sleep 0.1; done`,
      { deadlineMs: DEADLINE_MS },
    );
    const mismatches = /mismatches (\d+)/.exec(said)?.[1];
    if (mismatches === '0') return undefined;
    const { firstError } = await this.end();
    return `${mismatches ?? said}: ${firstError ?? ''}`;
  }

  async end(): Promise<ProgramReport> {
    const said = await this.#guest.run(
      `kill -TERM ${this.#pid}; while kill -0 ${this.#pid} 2> /dev/null; do sleep 0.1; done; tail -n 1 ${this.#log}`,
      { deadlineMs: DEADLINE_MS },
    );
    const report = programReport.safeParse(parseJson(said));
    if (report.success) return report.data;
    throw new RigError('test', `The sleeper ended without a report. It said: ${said.trim()}`);
  }
}

function wordsOf(options: SleeperOptions): string {
  const yes = (asked = false): string => (asked ? 'yes' : 'no');
  return [
    `--vram ${String(options.vram)} --system ${String(options.system)}`,
    `--object-size ${String(options.objectSize)} --seed ${String(options.seed)}`,
    `--caching ${options.caching ?? 'cached'} --busy ${yes(options.busy)}`,
    `--writers ${String(options.writers ?? 0)} --exported ${yes(options.exported)}`,
    `--pinned ${yes(options.pinned)} --purgeable ${String(options.purgeable ?? 0)}`,
    `--overcommitted ${yes(options.overcommitted)} --pipe ${yes(options.pipe)}`,
    ...(options.visitors ?? []).map((visitor) => `--${visitor} yes`),
  ].join(' ');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
