/** One QEMU as a child: it dies with the rig, its channels are inherited sockets, and ending it always succeeds. */
import { spawn, type ChildProcess } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { RigError } from '../../util/rig-error.ts';
import { signalProcess } from '../../util/signal-process.ts';
import { ENDING_LIMITS_MS } from '../time-limits.ts';

/** The first channel's file descriptor in QEMU: after stdin, stdout and stderr. */
const FIRST_CHANNEL = 3;

/** How long output may trail behind QEMU's exit. */
const LAST_WORDS_MS = 500;

type Rung = 'quit' | 'terminate' | 'kill';

/** What one rung of the ending ladder took, and whether QEMU was gone after it. */
export interface RungTime {
  readonly rung: Rung;
  readonly durationMs: number;
  readonly gone: boolean;
}

export interface QemuExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

export class QemuProcess {
  readonly #child: ChildProcess;
  readonly #stderr: LastWords;
  readonly pid: number;
  /** Never rejects. */
  readonly exited: Promise<QemuExit>;
  /** Connected sockets, `channels[i]` being `-chardev socket,fd=<channelFd(i)>` in QEMU. */
  readonly channels: readonly Duplex[];

  private constructor(child: ChildProcess, pid: number, stderr: LastWords, exited: Promise<QemuExit>) {
    this.#child = child;
    this.#stderr = stderr;
    this.pid = pid;
    this.exited = exited;
    this.channels = child.stdio.slice(FIRST_CHANNEL) as unknown as Duplex[];
  }

  /**
   * Channels are socket pairs made at spawn: there is no socket file to collide, to leak or to connect to from
   * outside, and nothing QEMU says is lost, for the other end exists before it runs.
   */
  static async spawn(binary: string, args: readonly string[], channelCount: number): Promise<QemuProcess> {
    const channels = Array.from({ length: channelCount }, () => 'pipe' as const);
    // The kernel kills QEMU when this thread dies, however it dies. `detached` makes the process group we kill.
    const child = spawn('setpriv', [...restrictions(), '--pdeathsig', 'KILL', '--', binary, ...args], {
      stdio: ['ignore', 'ignore', 'pipe', ...channels],
      detached: true,
    });
    const stderr = collectStderr(child);
    const exited = whenExited(child, stderr);
    await whenSpawned(child, binary);
    if (child.pid === undefined) throw new Error('A spawned process has no id');
    // When memory is short on the host, a VM is what can be spared; where this may not be said, the kernel chooses.
    await writeFile(`/proc/${String(child.pid)}/oom_score_adj`, '1000').catch(() => undefined);
    return new QemuProcess(child, child.pid, stderr, exited);
  }

  /** What it has said so far, which it may go on to do for as long as it runs. */
  get stderr(): string {
    return this.#stderr.text;
  }

  /**
   * Ends QEMU by ever stronger means and says what each took. `quit` asks politely (QMP) and may fail or hang; where
   * nobody can be asked yet there is none. The last rung can't be refused; only a process stuck in the host's kernel
   * survives it.
   */
  async end(quit?: () => Promise<unknown>): Promise<RungTime[]> {
    const times: RungTime[] = [];
    const rungs: [Rung, () => void][] = [
      ...(quit ? [['quit', () => void quit().catch(() => undefined)] satisfies [Rung, () => void]] : []),
      ['terminate', () => this.signal('SIGTERM')],
      ['kill', () => this.signal('SIGKILL')],
    ];
    for (const [rung, act] of rungs) {
      const start = performance.now();
      act();
      const gone = await settledWithin(this.exited, ENDING_LIMITS_MS[rung]);
      times.push({ rung, durationMs: Math.round(performance.now() - start), gone });
      if (gone) return times;
    }
    throw new RigError('infrastructure', `QEMU (process ${String(this.pid)}) survived SIGKILL.`, {
      remedy: 'The host kernel holds it; look at its state in ps, and reboot the host if it stays.',
    });
  }

  /** To the whole process group, so that nothing QEMU started stays either. */
  signal(name: NodeJS.Signals): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    signalProcess(-this.pid, name);
  }
}

/**
 * For setpriv: a guest is there to misbehave, so QEMU gets no privileges and has none. Root's keeps one, to pass
 * through a folder of somebody else that is closed to others, as a home is when the rig is run by sudo.
 */
function restrictions(): string[] {
  const always = ['--no-new-privs', '--inh-caps=-all', '--ambient-caps=-all'];
  return process.getuid?.() === 0 ? [...always, '--bounding-set=-all,+dac_read_search'] : always;
}

export function channelFd(index: number): number {
  return FIRST_CHANNEL + index;
}

interface LastWords {
  text: string;
}

function collectStderr(child: ChildProcess): LastWords {
  const words = { text: '' };
  child.stderr?.setEncoding('utf8');
  child.stderr?.on('data', (more: string) => (words.text = (words.text + more).slice(-10_000)));
  return words;
}

function whenExited(child: ChildProcess, stderr: LastWords): Promise<QemuExit> {
  return new Promise((resolve) => {
    // By "close" everything it said has arrived; but a channel that nobody reads would hold that back for ever.
    child.once('close', (code, signal) => resolve({ code, signal, stderr: stderr.text }));
    child.once('exit', (code, signal) =>
      setTimeout(() => resolve({ code, signal, stderr: stderr.text }), LAST_WORDS_MS).unref(),
    );
  });
}

function whenSpawned(child: ChildProcess, binary: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve());
    child.once('error', (cause) =>
      reject(new RigError('infrastructure', `QEMU (${binary}) could not be started: ${cause.message}`, { cause })),
    );
  });
}

async function settledWithin(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), milliseconds)));
  const settled = await Promise.race([promise.then(() => true as const), late]);
  clearTimeout(timer);
  return settled;
}
