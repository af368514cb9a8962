/**
 * What led to a failure, of one VM: the guest's trace, the device's, and both with the console on one line of time.
 */
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { ConsoleClock } from '../../vm/trace/console-clock.ts';
import { fetchTrace, startTrace, stopTrace, TRACE_FILE } from '../../vm/trace/guest-trace.ts';
import { timeLine } from '../../vm/trace/time-line.ts';
import { DEVICE_TRACE, nextDeviceTrace } from '../../vm/trace/device-trace.ts';
import type { Vm } from '../../vm/vm.ts';

/** In the artifacts. */
export const TIME_LINE_FILE = 'timeline.json';

/** QEMU's log is in pieces of this size, of which two are kept: the one that it writes to and the one before. */
const PIECE_BYTES = 16 * 2 ** 20;
const LOOK_EVERY_MS = 1000;

export class Tracing {
  readonly #vm: Vm;
  readonly #settings: readonly string[] | undefined;
  readonly #clock: ConsoleClock;
  #timer: NodeJS.Timeout | undefined;

  /** Without settings, in the words of the kernel, nothing is recorded. */
  constructor(vm: Vm, settings: readonly string[] | undefined) {
    this.#vm = vm;
    this.#settings = settings;
    this.#clock = ConsoleClock.follow(vm.console);
  }

  async begin(): Promise<void> {
    if (this.#settings === undefined) return;
    this.#timer = setInterval(() => void this.#nextPiece().catch(() => undefined), LOOK_EVERY_MS).unref();
    await startTrace(this.#vm, this.#settings);
  }

  /** What is looked at after a test is no part of it. */
  async stop(): Promise<void> {
    if (this.#settings === undefined) return;
    clearInterval(this.#timer);
    await stopTrace(this.#vm);
  }

  /** Of a guest that is dead there are the device and the console. Fails no test. */
  async keep(): Promise<void> {
    if (this.#settings === undefined) return;
    await fetchTrace(this.#vm);
    await this.#writeTimeLine().catch(() => undefined);
  }

  /** Of a guest that is given up then: afterwards nobody can ask it for its trace. */
  async takeHangEvidence(): Promise<void> {
    await this.#vm.takeHangEvidence();
    await this.keep();
  }

  async #writeTimeLine(): Promise<void> {
    const { folder } = this.#vm;
    const read = (name: string): Promise<string> => readFile(folder.file(name), 'utf8').catch(() => '');
    const device = (await Promise.all((await deviceTraces(folder.path)).map(read))).join('\n');
    const witnesses = { trace: await read(TRACE_FILE), console: await read('serial.log'), device };
    const line = timeLine({ ...witnesses, toHost: this.#clock.toHost() });
    await writeFile(folder.file(TIME_LINE_FILE), JSON.stringify(line));
  }

  /** QEMU has no limit for its log. */
  async #nextPiece(): Promise<void> {
    const { folder } = this.#vm;
    const pieces = await deviceTraces(folder.path);
    const last = pieces.at(-1);
    if (last === undefined || (await stat(folder.file(last))).size < PIECE_BYTES) return;
    const command = `logfile "${nextDeviceTrace(folder)}"`;
    await this.#vm.qmp('human-monitor-command', { 'command-line': command }, z.string());
    for (const old of pieces.slice(0, -1)) await rm(folder.file(old), { force: true });
  }
}

/** The oldest first. */
async function deviceTraces(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => DEVICE_TRACE.test(name)).sort();
}
