/**
 * A QEMU that is a real process and does nothing but what the test tells it to: it greets, answers commands of its
 * monitor, sends events, prints what its guest's console says, and exits.
 */
import { access, appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { onTestFinished, vi } from 'vitest';
import { z } from 'zod';
import { loadMachineProfile } from '../../../../src/config/machine-profile.ts';
import { openConsolePort } from '../../../../src/vm/link/console-port.ts';
import type { VmSpec } from '../../../../src/vm/vm.ts';

const STARTED = 'started';
/** Instead of an exit code. */
const STAY = 'stay';

/** The monitor's socket is connected to the test by two FIFOs; a third one says what to say, and when to exit. */
function script(folder: string): string {
  const file = (name: string): string => `'${path.join(folder, name)}'`;
  return [
    '#!/bin/sh',
    `printf '%s\\n' "$@" > ${file('argv')}`,
    `echo $$ >> ${file('pids')}`,
    `echo ${STARTED} > ${file('monitor.out')}`,
    `cat ${file('monitor.in')} >&3 & in=$!`,
    `cat <&3 > ${file('monitor.out')} & out=$!`,
    `while read -r code text; do`,
    'test -z "$text" || printf "%b\\n" "$text" >&2',
    `echo >> ${file('said')}`,
    `test "$code" = ${STAY} || break; done < ${file('order.in')}`,
    'kill $in $out',
    'exit "$code"',
    '',
  ].join('\n');
}

/** What a command of the monitor is answered with; an error is a refusal. */
export type Answer = (args: Record<string, unknown>) => unknown;

const command = z.object({
  execute: z.string(),
  arguments: z.record(z.string(), z.unknown()).default({}),
  id: z.number(),
});

export class FakeQemu {
  /** A folder of this test's own. */
  readonly folder: string;
  readonly commands: string[] = [];
  readonly #monitor: Duplex;
  readonly #order: Duplex;
  readonly #answers = new Map<string, Answer>();
  readonly #onStart: (() => unknown)[] = [];
  readonly #onEveryStart: (() => unknown)[] = [];
  readonly #greets: boolean;

  private constructor(folder: string, monitor: Duplex, order: Duplex, greets: boolean) {
    this.folder = folder;
    this.#monitor = monitor;
    this.#order = order;
    this.#greets = greets;
    this.on('quit', () => {
      this.exit(0);
      return {};
    });
    createInterface({ input: monitor })
      .on('line', (line) => {
        if (line === STARTED) this.#started();
        else void this.#answer(command.parse(JSON.parse(line)));
      })
      .on('error', () => undefined); // It is destroyed at the end of the test.
  }

  static async create({ greets = true } = {}): Promise<FakeQemu> {
    const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-fake-'));
    const [monitor, order] = await Promise.all([
      openConsolePort(path.join(folder, 'monitor')),
      openConsolePort(path.join(folder, 'order')),
    ]);
    onTestFinished(async () => {
      for (const port of [monitor, order]) port.on('error', () => undefined).destroy();
      await rm(folder, { recursive: true, force: true });
    });
    const qemu = new FakeQemu(folder, monitor, order, greets);
    await writeFile(qemu.binary, script(folder), { mode: 0o755 });
    await writeFile(qemu.initrd, '');
    return qemu;
  }

  get binary(): string {
    return path.join(this.folder, 'qemu-system-fake');
  }

  get initrd(): string {
    return path.join(this.folder, 'guest-initrd');
  }

  /** Of a VM that this QEMU runs, with the time limits for KVM. */
  async spec(changes: Partial<VmSpec> = {}): Promise<VmSpec> {
    return {
      profile: await loadMachineProfile('noswap'),
      accelerator: 'kvm',
      software: {
        qemu: { binary: this.binary, firmware: [] },
        kernel: { image: '/dev/null', flavour: 'plain' },
        initrd: this.initrd,
      },
      folder: path.join(this.folder, 'vm'),
      signal: new AbortController().signal,
      ...changes,
    };
  }

  /** From now on the monitor answers this command so; every other one succeeds and returns nothing. */
  on(name: string, answer: Answer): this {
    this.#answers.set(name, answer);
    return this;
  }

  /** Resolves when the process has started. */
  async started(): Promise<void> {
    return new Promise((resolve) => this.#onStart.push(resolve));
  }

  async argv(): Promise<string[]> {
    return (await readFile(path.join(this.folder, 'argv'), 'utf8')).trimEnd().split('\n');
  }

  /** Is called whenever a process has started. */
  onEveryStart(act: () => unknown): void {
    this.#onEveryStart.push(act);
  }

  /** Process ids of all that were started, the first one first. */
  async pids(): Promise<number[]> {
    const text = await readFile(path.join(this.folder, 'pids'), 'utf8').catch(() => '');
    return text.split('\n').filter(Boolean).map(Number);
  }

  event(name: string, data: Record<string, unknown> = {}): void {
    this.#send({ event: name, data, timestamp: { seconds: 1, microseconds: 0 } });
  }

  /** A line of the guest's console. */
  async say(line: string, folder = path.join(this.folder, 'vm')): Promise<void> {
    await appendFile(path.join(folder, 'console.out'), `${line}\n`);
  }

  exit(code: number, stderr = ''): void {
    this.#tell(String(code), stderr);
  }

  /** Says something as QEMU itself, and runs on. Resolves when it was said. */
  async complain(stderr: string): Promise<void> {
    this.#tell(STAY, stderr);
    await vi.waitFor(() => access(path.join(this.folder, 'said')), { timeout: 10_000 });
  }

  #tell(order: string, stderr: string): void {
    // An order is one line: the program makes several of it again.
    this.#order.write(`${order} ${stderr.replaceAll('\n', '\\n')}\n`);
  }

  #started(): void {
    if (this.#greets) this.#send({ QMP: { version: {} } });
    for (const act of [...this.#onStart.splice(0), ...this.#onEveryStart]) act();
  }

  async #answer({ execute, arguments: args, id }: z.infer<typeof command>): Promise<void> {
    this.commands.push(execute);
    try {
      this.#send({ return: (await this.#answers.get(execute)?.(args)) ?? {}, id });
    } catch (error) {
      this.#send({ error: { class: 'GenericError', desc: (error as Error).message }, id });
    }
  }

  #send(message: object): void {
    this.#monitor.write(`${JSON.stringify(message)}\n`);
  }
}
