/**
 * A VM with a fake QEMU and a fake guest, for tests that do things to it in any order: what it does in the background
 * is kept here until it is looked at, and `leftovers` says what of it is still there.
 */
import { getEventListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ServerChannel } from 'ssh2';
import { RigError } from '../../../../src/util/rig-error.ts';
import { doorFolder } from '../../../../src/vm/link/door.ts';
import { generateSshKey } from '../../../../src/vm/link/ssh-session.ts';
import type { Template } from '../../../../src/vm/vm-spec.ts';
import { Vm, type VmSpec } from '../../../../src/vm/vm.ts';
import { fakeGuest, forwardTo, succeed, type FakeGuest } from './fake-guest.ts';
import { FakeQemu } from './fake-qemu.ts';
import { openFilesIn } from './open-files.ts';

export type Start = 'boot' | 'template' | 'clone';

/** How something ended: undefined if it succeeded, the class of an expected failure, or what else was thrown. */
export type Outcome = string | undefined;

/** Short waits for what is lost, long enough ones for what comes. */
const PATIENCE = 0.25;

export function outcomeOf(promise: Promise<unknown>): Promise<Outcome> {
  return promise.then(() => undefined, classOf);
}

export function classOf(error: unknown): string {
  return error instanceof RigError ? error.failureClass : String(error);
}

export class VmUnderTest {
  readonly qemu: FakeQemu;
  readonly #guest: FakeGuest;
  readonly #spec: VmSpec;
  readonly #abort: AbortController;
  /** Commands that never end. */
  readonly hanging: Promise<Outcome>[] = [];
  vm: Vm | undefined;
  starting: Promise<Outcome> = Promise.resolve(undefined);
  /** Or what the kernel refused it with. */
  sleeping: Promise<Outcome> = Promise.resolve(undefined);
  #onAsked: () => void = () => undefined;
  #onReport: () => void = () => undefined;

  private constructor(qemu: FakeQemu, guest: FakeGuest, spec: VmSpec, abort: AbortController) {
    [this.qemu, this.#guest, this.#abort] = [qemu, guest, abort];
    this.#spec = { ...spec, onReport: () => this.#onReport() };
    forwardTo(qemu, guest);
    qemu.on('system_wakeup', async () => {
      qemu.event('WAKEUP');
      await this.say('RIG-AWAKE 0');
      return {};
    });
    qemu.on('query-migrate', () => ({ status: 'active' }));
  }

  static async create(): Promise<VmUnderTest> {
    const qemu = await FakeQemu.create();
    const guest = await fakeGuest((channel, command) => underTest.#run(channel, command));
    const abort = new AbortController();
    const spec = await qemu.spec({ signal: abort.signal, patience: PATIENCE });
    const underTest = new VmUnderTest(qemu, guest, spec, abort);
    return underTest;
  }

  /** Returns when QEMU has started. */
  async start(how: Start): Promise<void> {
    const started = this.qemu.started();
    const booting = this.#boot(how).then((vm) => (this.vm = vm));
    this.starting = outcomeOf(booting);
    await Promise.race([started, this.starting]);
  }

  #boot(how: Start): Promise<Vm> {
    switch (how) {
      case 'boot':
        return Vm.boot(this.#spec);
      case 'template':
        return Vm.bootForTemplate(this.#spec, generateSshKey());
      case 'clone':
        return Vm.clone(this.#spec, this.#template());
    }
  }

  #template(): Template {
    const { folder, initrd } = this.qemu;
    const state = path.join(folder, 'state');
    return { folder, state, initrd, swapImage: undefined, key: generateSshKey(), hostKey: this.#guest.hostKey };
  }

  /** The guest is up: a clone's, because its state has arrived. */
  async listen(): Promise<void> {
    this.stateMoves();
    await this.say(`RIG-READY ${this.#guest.hostKey}`);
  }

  /** From now on a migration is over as soon as it has begun. */
  stateMoves(): void {
    this.qemu.on('query-migrate', () => ({ status: 'completed' }));
  }

  /** Returns when the guest has been asked to sleep. */
  async suspend(vm: Vm, state: 's3' | 's4'): Promise<void> {
    const asked = new Promise<void>((resolve) => (this.#onAsked = resolve));
    this.sleeping = vm.suspend(state).then(({ refusal }) => refusal, classOf);
    await Promise.race([asked, this.sleeping]);
  }

  /** By the guest's own hand: QEMU says so first. */
  async switchOff(vm: Vm): Promise<void> {
    const before = vm.events('SHUTDOWN').length;
    this.qemu.event('SHUTDOWN', { reason: 'guest-shutdown' });
    while (vm.events('SHUTDOWN').length === before && !vm.signal.aborted) await pause(1);
    this.qemu.exit(0);
  }

  /** Returns when no QEMU is there. */
  async poweredOff({ pid }: Vm): Promise<void> {
    while (existsSync(`/proc/${pid}/stat`)) await pause(1);
  }

  async say(line: string): Promise<void> {
    await this.qemu.say(line, this.#spec.folder);
  }

  /** The kernel reports this; returns when the VM has heard it, or has died before. */
  async report(lines: readonly string[]): Promise<void> {
    const heard = new Promise<void>((resolve) => (this.#onReport = resolve));
    for (const line of lines) await this.say(line);
    await Promise.race([heard, this.death()]);
  }

  /** When nothing more can come of it. */
  async death(): Promise<void> {
    const { vm } = this;
    if (!vm) await this.starting;
    else if (!vm.signal.aborted) await new Promise((resolve) => vm.signal.addEventListener('abort', resolve));
  }

  abort(): void {
    this.#abort.abort(new Error('Ctrl-C'));
  }

  disconnect(): void {
    this.#guest.disconnect('reset');
  }

  /** All of QEMU at once, as the host's kernel does it when memory is short. */
  async kill(): Promise<void> {
    const pid = (await this.qemu.pids()).at(-1);
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  }

  /** Of a VM that has ended; it takes a moment for what was killed to be gone. */
  async leftovers(): Promise<string[]> {
    const { folder } = this.#spec;
    const pids = await this.qemu.pids();
    const processes = await processesOf(pids);
    const files = (await openFilesIn(folder)).map((file) => `open: ${file}`);
    const doors = pids.map((pid) => path.join(doorFolder(), `${pid}.sock`)).filter(existsSync);
    const listeners = getEventListeners(this.#abort.signal, 'abort').map(() => 'a listener to the abort');
    return [...processes, ...files, ...doors, ...listeners];
  }

  #run(channel: ServerChannel, command: string): void {
    const clone = /RIG-CLONE [\w-]+/.exec(command)?.[0];
    if (command === 'hang') return;
    if (clone !== undefined) {
      void this.say(clone);
      succeed(channel, String(this.#spec.profile.cpuNodes.length));
    } else if (command.startsWith('setsid')) {
      succeed(channel);
      this.#onAsked();
    } else {
      succeed(channel, '0');
    }
  }
}

/** Of the group that each QEMU is the first of. What has ended and is only not yet waited for is no process. */
async function processesOf(groups: readonly number[]): Promise<string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(ids.map((id) => readFile(`/proc/${id}/stat`, 'utf8').catch(() => '')));
  return stats.filter((stat) => {
    // proc(5): state, parent and group follow the name, which is in brackets and may hold anything.
    const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return groups.includes(Number(group)) && state !== 'Z';
  });
}
