/**
 * A virtual machine, from spawn to end.
 *
 *     booting ──> ready ──> gone     ended by its owner
 *        │         │ ↑ │
 *        │         ↓ │ ├───> dead     QEMU exited, the kernel panicked, SSH was lost, the run was aborted
 *        │    suspended┤
 *        └─────────────┘
 *
 * From S4 it comes back in another QEMU process, on the same disk. A dead VM still has to be ended by its owner: that
 * is what frees the process and writes the verdict.
 */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { z } from 'zod';
import { slowdownOf } from '../config/flavour.ts';
import { inScope } from '../util/closing-scope.ts';
import { onAbort } from '../util/on-abort.ts';
import { RigError } from '../util/rig-error.ts';
import { boundedWait, type WaitBounds } from '../util/bounded-wait.ts';
import { sleepThrough, type SleepOptions } from './sleep/sleep.ts';
import type { SleepRecord, SleepState } from './sleep/sleep-stages.ts';
import type { SleepingMachine } from './sleep/sleep-watch.ts';
import { gpuQomPath } from './qemu/command-line.ts';
import { Door } from './link/door.ts';
import { takeIdentity } from './clone/clone-identity.ts';
import { OF_AWAKE_GUEST, OF_SLEEPING_GUEST, takeHangEvidence } from './kernel-log/hang-evidence.ts';
import { KernelReportScanner, type KernelReport, type KernelWarning } from './kernel-log/kernel-report.ts';
import { awaitState, saveState } from './qemu/migration.ts';
import { dumpMemory, type DumpSymbols } from './memory-dump.ts';
import type { QemuExit, QemuProcess, RungTime } from './qemu/qemu-process.ts';
import { QmpClient, type QmpEvent } from './qemu/qmp.ts';
import { SerialConsole } from './link/serial-console.ts';
import {
  generateSshKey,
  SshSession,
  type CommandResult,
  type OnOutput,
  type SshAddress,
  type SshKeyPair,
} from './link/ssh-session.ts';
import { timeLimits, type TimeLimits } from './time-limits.ts';
import { VmFolder } from './vm-folder.ts';
import { assemble, assembleClone, monitorOf, spawnQemu, type Hardware } from './vm-hardware.ts';
import type { Template, VmSpec } from './vm-spec.ts';

export type { VmSoftware, VmSpec } from './vm-spec.ts';

type VmState =
  | { readonly kind: 'booting' }
  | { readonly kind: 'ready'; readonly ssh: SshSession; readonly bootMs: number }
  | { readonly kind: 'suspended'; readonly ssh: SshSession; readonly bootMs: number; readonly state: SleepState }
  | { readonly kind: 'gone' }
  | { readonly kind: 'dead'; readonly failure: Error };

interface ExecOptions {
  readonly deadlineMs?: number;
  readonly stdin?: string | Buffer;
  readonly onOutput?: OnOutput;
}

const FORWARDED_PORT = /TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+22\b/;
const END_OF_PANIC = /---\[ end Kernel panic/;

export class Vm {
  readonly limits: TimeLimits;
  readonly folder: VmFolder;
  readonly console: SerialConsole;
  readonly #slowdown: number;
  readonly #hardware: Hardware;
  readonly #key: SshKeyPair;
  readonly #scanner = new KernelReportScanner();
  readonly #onReport: VmSpec['onReport'];
  readonly #death = new AbortController();
  readonly #spawnedAt = performance.now();
  readonly #spec: Pick<VmSpec, 'software' | 'tracesDevice'>;
  readonly #dumpSymbols: DumpSymbols | undefined;
  #process: QemuProcess;
  /** The next one, while it is started. */
  #nextProcess: Promise<QemuProcess> | undefined;
  /** The events of QEMU processes that are gone. */
  #pastEvents: readonly QmpEvent[] = [];
  #powerOffs = 0;
  #onPowerOff: () => void = () => undefined;
  #hostKey = '';
  readonly #door: Door;
  readonly #stopHearingOfAbort: () => void;
  #address: SshAddress | undefined;
  #qmp: QmpClient | undefined;
  #state: VmState = { kind: 'booting' };
  #hangEvidence: Promise<void> | undefined;
  #ending: Promise<readonly RungTime[]> | undefined;

  private constructor(spec: VmSpec, folder: VmFolder, qemu: QemuProcess, hardware: Hardware, key: SshKeyPair) {
    // One listener for each wait under way: many are no leak.
    setMaxListeners(0, this.signal);
    const { flavour } = spec.software.kernel;
    this.limits = timeLimits(spec.accelerator, flavour, spec.patience);
    this.#slowdown = slowdownOf(flavour);
    this.folder = folder;
    this.#spec = spec;
    const { vmlinux, debugModules: modules } = spec.software.kernel;
    this.#dumpSymbols = vmlinux === undefined || modules === undefined ? undefined : { vmlinux, modules };
    this.#hardware = hardware;
    this.#key = key;
    this.#onReport = spec.onReport;
    this.#process = qemu;
    this.console = new SerialConsole(folder.consolePort, folder.serialLog);
    this.console.subscribe((line) => this.#judgeLine(line));
    const [state, ssh] = [(): string => this.#state.kind, (): SshAddress | undefined => this.#address];
    this.#door = Door.open({ pid: qemu.pid, folder: folder.path, state, ssh, console: this.console });
    void qemu.exited.then((exit) => this.#exited(exit));
    this.#stopHearingOfAbort = onAbort(spec.signal, (reason) => this.#die(reason));
  }

  /** Resolves when a command can be run in the guest. */
  static async boot(spec: VmSpec): Promise<Vm> {
    const key = generateSshKey();
    const vm = await Vm.#spawn(spec, key, (folder) => assemble(spec, folder, key));
    return vm.#started(() => vm.#comeUp());
  }

  /** Boots up to where a clone begins: its SSH server listens, and nobody has logged in. */
  static async bootForTemplate(spec: VmSpec, key: SshKeyPair): Promise<Vm> {
    const vm = await Vm.#spawn(spec, key, (folder) => assemble(spec, folder, key));
    return vm.#started(async () => {
      await vm.#untilListening();
      if (vm.#firstBug) throw kernelFailure(vm.#firstBug, undefined);
    });
  }

  /**
   * The same, from where a template was when it was saved; not for what is about power, which a clone has never had
   * switched on.
   */
  static async clone(spec: VmSpec, template: Template): Promise<Vm> {
    const vm = await Vm.#spawn(spec, template.key, (folder) => assembleClone(spec, folder, template));
    return vm.#started(() => vm.#wakeUp(spec, template));
  }

  static async #spawn(spec: VmSpec, key: SshKeyPair, assembleIn: (folder: VmFolder) => Promise<Hardware>): Promise<Vm> {
    spec.signal.throwIfAborted();
    const folder = await VmFolder.create(spec.folder);
    try {
      const hardware = await assembleIn(folder);
      const qemu = await spawnQemu(spec, hardware, folder);
      return new Vm(spec, folder, qemu, hardware, key);
    } catch (error) {
      await folder.conclude({ status: 'failed', reason: toError(error).message }, true);
      throw error;
    }
  }

  async #started(start: () => Promise<void>): Promise<this> {
    try {
      await start();
      return this;
    } catch (error) {
      const failure = await this.#explainLate(error);
      if (isTimeout(failure)) await this.takeHangEvidence();
      // A QEMU that can't be ended, too, is not the cause.
      await this.end({ keep: true, verdict: { status: 'failed', reason: failure.message } }).catch(() => undefined);
      throw failure;
    }
  }

  get state(): VmState {
    return this.#state;
  }

  /** Process id of QEMU, for whoever tests what happens when it is killed. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Aborted, with the reason, when the VM dies or ends: what every wait for it listens to. */
  get signal(): AbortSignal {
    return this.#death.signal;
  }

  get kernelReports(): readonly KernelReport[] {
    return this.#scanner.reports;
  }

  /** What the kernel warned of, or worse, beside its reports. */
  get kernelWarnings(): readonly KernelWarning[] {
    return this.#scanner.warnings;
  }

  get #firstBug(): KernelReport | undefined {
    return this.kernelReports.find(({ severity }) => severity === 'bug');
  }

  /**
   * Returns when the rig has read all that the kernel has logged so far: the console prints it in a thread of its own,
   * which on a busy host comes long after the command that caused it has ended.
   */
  async hearKernelOut(): Promise<void> {
    const mark = `RIG-HEARD ${randomUUID()}`;
    const bounds = this.#bounds(this.limits.consoleLag);
    await this.#session().exec(`echo '<6>${mark}' > /dev/kmsg`, bounds);
    await this.console.waitFor(new RegExp(mark), bounds);
  }

  /**
   * Runs a shell command in the guest to its end, whatever its exit code; its time is what the plain kernel may take.
   */
  async exec(command: string, options: ExecOptions = {}): Promise<CommandResult> {
    const { deadlineMs, stdin, onOutput } = options;
    const bounds = this.#bounds(deadlineMs === undefined ? this.limits.command : deadlineMs * this.#slowdown);
    try {
      const result = await this.#session().exec(command, bounds, stdin, onOutput);
      this.folder.logCommand(command, result);
      return result;
    } catch (error) {
      const failure = await this.#explainLate(error);
      this.folder.logCommand(command, failure);
      if (isTimeout(error)) await this.takeHangEvidence();
      throw failure;
    }
  }

  /**
   * Writes down what the guest does now, in its folder and on its console. Of the first hang only: a later one says no
   * more.
   */
  takeHangEvidence(): Promise<void> {
    return (this.#hangEvidence ??= this.#takeHangEvidence());
  }

  async #takeHangEvidence(): Promise<void> {
    const state = this.#state;
    const run = async (command: string): Promise<string> =>
      (await this.#session().exec(command, this.#bounds(this.limits.hangLog))).stdout;
    await takeHangEvidence(
      {
        ask: (command) => this.#askMonitor(command),
        sysrq: (key) => this.#sysrq(key),
        run: state.kind === 'ready' ? run : undefined,
        saveText: async (name, text) => {
          await this.folder.write(name, text);
        },
      },
      state.kind === 'suspended' ? OF_SLEEPING_GUEST : OF_AWAKE_GUEST,
      this.limits.sysrqAnswer,
    );
  }

  /** Text of QEMU's human monitor. */
  async #askMonitor(command: string): Promise<string> {
    return this.qmp('human-monitor-command', { 'command-line': command }, z.string());
  }

  async #sysrq(key: string): Promise<void> {
    await this.qmp('chardev-send-break', { id: 'console' }, z.unknown());
    this.console.type(key);
  }

  async putFile(path: string, content: string | Buffer, mode = 0o644): Promise<void> {
    await this.#session().putFile(path, content, mode, this.#bounds(this.limits.command));
  }

  session(): SshSession {
    return this.#session();
  }

  /**
   * Puts the guest to sleep and wakes it up. That the kernel refuses is a result; that nobody can bear witness to a
   * sleep, or that it hangs on the way, is a failure.
   */
  async suspend(state: SleepState, options: SleepOptions = {}): Promise<SleepRecord> {
    const ssh = this.#session();
    const { bootMs } = this.#state as Extract<VmState, { kind: 'ready' }>;
    this.#state = { kind: 'suspended', ssh, bootMs, state };
    try {
      return await sleepThrough(this.#sleepingMachine(ssh), state, options);
    } catch (error) {
      const failure = await this.#explainLate(error);
      // Still asleep, or somewhere in between: nobody can use it any more.
      if (this.#isSuspended()) this.#die(failure);
      throw failure;
    }
  }

  /** A QMP command; the reply is parsed by `schema`. */
  async qmp<T>(command: string, args: Record<string, unknown>, schema: z.ZodType<T>): Promise<T> {
    const reply = await this.#monitor().execute(command, args, this.#bounds(this.limits.monitor));
    return schema.parse(reply);
  }

  /** A picture of the display, which QEMU makes of a guest that has died, too. */
  async screendump(filename: string): Promise<void> {
    await this.#monitor().execute('screendump', { filename }, this.#boundsOfQemu());
  }

  /** Every event of this name since QEMU started. */
  events(name: string): QmpEvent[] {
    return [...this.#pastEvents.filter(({ event }) => event === name), ...this.#monitor().seen(name)];
  }

  async waitForEvent(name: string, deadlineMs: number): Promise<QmpEvent> {
    return this.#monitor().waitFor(name, this.#bounds(deadlineMs * this.#slowdown));
  }

  /**
   * The failure to report for `error`: a kernel report explains a lost session or a late command, never the reverse.
   */
  explain(error: unknown): Error {
    const report = this.#firstBug;
    if (report) return kernelFailure(report, error);
    return this.#state.kind === 'dead' ? this.#state.failure : this.#withConsole(toError(error));
  }

  /** Takes the VM down for good; never fails because of the guest. May be called in any state, and again. */
  end(options: { keep: boolean; verdict: Record<string, unknown> }): Promise<readonly RungTime[]> {
    return (this.#ending ??= this.#end(options));
  }

  async #end({ keep, verdict }: { keep: boolean; verdict: Record<string, unknown> }): Promise<readonly RungTime[]> {
    const before = this.#state;
    this.#state = { kind: 'gone' };
    this.#death.abort(new RigError('infrastructure', 'The VM has been ended.'));
    if (before.kind === 'ready' || before.kind === 'suspended') before.ssh.close();
    this.#door.close();
    this.#stopHearingOfAbort();
    return inScope(async (scope) => {
      const ladder: RungTime[] = [];
      scope.defer(() => this.folder.conclude({ ...verdict, kernelReports: this.kernelReports, ending: ladder }, keep));
      scope.defer(() => this.#qmp?.close());
      // One that is just being started is to be ended, too; that it could not be started is no matter any more.
      await this.#nextProcess?.catch(() => undefined);
      if (keep) await this.#dumpMemory();
      ladder.push(...(await this.#process.end(this.#qmp?.isOpen ? () => this.#quit() : undefined)));
      return ladder;
    });
  }

  /** Of a guest that has panicked or did not answer, for a debugger; nothing else can be asked of it any more. */
  async #dumpMemory(): Promise<void> {
    const { isOpen = false } = this.#qmp ?? {};
    const isStuck = this.#hangEvidence !== undefined || this.kernelReports.some(({ fatal }) => fatal);
    if (!isOpen || !isStuck || this.#dumpSymbols === undefined) return;
    const bounds = { signal: new AbortController().signal, deadlineMs: this.limits.dump };
    await dumpMemory({
      folder: this.folder,
      profile: this.#hardware.profile,
      symbols: this.#dumpSymbols,
      // Not by the addresses of processes: page tables may be what is broken.
      dump: (file) => this.#monitor().execute('dump-guest-memory', { paging: false, protocol: `file:${file}` }, bounds),
    });
  }

  /** Saves a machine that was booted for a template; it stands still from then on. Returns why it can't be saved. */
  async save(file: string): Promise<string | undefined> {
    await this.qmp('stop', {}, z.unknown());
    return saveState(this.#monitor(), file, this.#bounds(this.limits.start));
  }

  /** What its SSH server says it is, base64; empty before it listens. */
  get hostKey(): string {
    return this.#hostKey;
  }

  async #comeUp(): Promise<void> {
    await this.#untilListening();
    await this.#connect(undefined);
  }

  /** A SYN that comes earlier is refused, and slirp tries again only seconds later. */
  async #untilListening(): Promise<void> {
    await this.#openMonitor();
    this.#hostKey = await this.console.hostKey(this.#bounds(this.limits.boot));
  }

  async #wakeUp({ gpu, profile }: VmSpec, template: Template): Promise<void> {
    await this.#openMonitor();
    await awaitState(this.#monitor(), template.state, this.#bounds(this.limits.start));
    // It came with the template's.
    for (let unit = 0; gpu && unit < profile.devices; unit++) {
      const limit = { path: gpuQomPath(unit), property: 'dma-bits', value: gpu.dmaBits };
      await this.qmp('qom-set', limit, z.unknown());
    }
    await this.qmp('cont', {}, z.unknown());
    this.#hostKey = template.hostKey;
    await this.#connect(undefined);
    await takeIdentity(this, profile, this.#bounds(this.limits.sshConnect));
  }

  async #openMonitor(): Promise<void> {
    const stream = monitorOf(this.#process);
    this.#qmp = await QmpClient.open(stream, this.#bounds(this.limits.start), this.folder.qmpLog);
    this.#qmp.subscribe((event) => {
      // QEMU stops the guest when the host has no room for what it swaps out: it would never answer again.
      if (event.event === 'BLOCK_IO_ERROR') this.#die(hostDiskFailure(event));
      if (event.event === 'STOP') void this.#judgeStop();
    });
  }

  /** The rig itself stops guests, too; one that KVM can't run any further would never answer again. */
  async #judgeStop(): Promise<void> {
    const found = await this.qmp('query-status', {}, z.object({ status: z.string() })).catch(() => undefined);
    if (found?.status === 'internal-error') this.#die(brokenKvm(this.#process.stderr));
  }

  /** The guest is there, and listens. */
  async #connect(bootMs: number | undefined): Promise<void> {
    const port = await this.#forwardedPort();
    this.#address = { port, hostKey: this.#hostKey, privateKey: this.#key.privateKey };
    const ssh = await SshSession.connect(this.#address, this.#bounds(this.limits.sshConnect));
    this.#state = { kind: 'ready', ssh, bootMs: bootMs ?? performance.now() - this.#spawnedAt };
    void ssh.lost.then((reason) => this.#sessionLost(ssh, reason));
  }

  #isSuspended(): boolean {
    return this.#state.kind === 'suspended';
  }

  /** The one QEMU there is has exited: the guest switched itself off to sleep, or that was all. */
  #exited(exit: QemuExit): void {
    const told = this.#qmp?.seen('SHUTDOWN').at(-1)?.data['reason'];
    const reason = exit.code === 0 && typeof told === 'string' ? told : undefined;
    if (this.#state.kind !== 'suspended' || this.#state.state !== 's4' || reason !== 'guest-shutdown') {
      this.#die(exitFailure(exit, reason));
      return;
    }
    this.#powerOffs++;
    this.#onPowerOff();
  }

  /** The same machine is switched on again. */
  async #startAgain(): Promise<void> {
    this.signal.throwIfAborted();
    this.#pastEvents = [...this.#pastEvents, ...this.#monitor().history];
    this.#qmp?.close();
    const kernelArgs = [...this.#hardware.kernelArgs, 'rig.resume'];
    this.#nextProcess = spawnQemu(this.#spec, { ...this.#hardware, kernelArgs }, this.folder).then(
      (next) => (this.#process = next),
    );
    await this.#nextProcess;
    void this.#process.exited.then((exit) => this.#exited(exit));
    await this.#openMonitor();
  }

  #sleepingMachine(ssh: SshSession): SleepingMachine {
    const poweredOffBefore = this.#powerOffs;
    const current = (): SshSession => (this.#state.kind === 'ready' ? this.#state.ssh : ssh);
    const powerOffs = (): number => this.#powerOffs;
    return {
      stageLimitMs: this.limits.sleepStage,
      signal: this.signal,
      get powerOffs() {
        return powerOffs();
      },
      run: (command) => current().exec(command, this.#bounds(this.limits.command)),
      eventCount: (name) => this.events(name).length,
      nextEvent: (name) => this.#monitor().next(name),
      onLine: (listener) => this.console.follow(listener),
      type: (text) => this.console.type(text),
      wake: async () => {
        await this.qmp('system_wakeup', {}, z.unknown());
      },
      poweredOff: () => new Promise((resolve) => (this.#onPowerOff = resolve)),
      startAgain: async () => {
        ssh.close();
        await this.#startAgain();
      },
      ready: async () => {
        const { bootMs } = this.#state as Extract<VmState, { kind: 'suspended' }>;
        if (this.#powerOffs !== poweredOffBefore) return this.#connect(bootMs);
        this.#state = { kind: 'ready', ssh, bootMs };
        // It may have been lost in the meantime.
        void ssh.lost.then((reason) => this.#sessionLost(ssh, reason));
        return undefined;
      },
      takeHangEvidence: () => this.takeHangEvidence(),
    };
  }

  async #forwardedPort(): Promise<number> {
    const text = await this.#askMonitor('info usernet');
    const port = FORWARDED_PORT.exec(text)?.[1];
    if (port === undefined) throw new RigError('infrastructure', `QEMU forwards no port to the guest's SSH:\n${text}`);
    return Number(port);
  }

  #judgeLine(line: string): void {
    const report = this.#scanner.push(line);
    if (report) this.#onReport?.(report);
    if (!report?.fatal) return;
    // The rest of the report is still on its way; the guest itself is standing still.
    const tail = this.console.waitFor(END_OF_PANIC, this.#bounds(this.limits.reportTail));
    void tail.catch(() => undefined).then(() => this.#die(kernelFailure(report, undefined)));
  }

  /** Whoever breaks the session often says so on the console, or by QEMU's exit, a moment later. */
  #sessionLost(ssh: SshSession, reason: Error): void {
    if (this.#state.kind !== 'ready' || this.#state.ssh !== ssh) return;
    setTimeout(() => this.#die(this.explain(reason)), this.limits.lostSession).unref();
  }

  #die(failure: Error): void {
    if (this.#state.kind === 'gone' || this.#state.kind === 'dead') return;
    const report = this.#firstBug;
    const reason = report ? kernelFailure(report, failure) : this.#withConsole(failure);
    if (this.#state.kind === 'ready' || this.#state.kind === 'suspended') this.#state.ssh.close();
    this.#state = { kind: 'dead', failure: reason };
    this.#death.abort(reason);
  }

  /** A broken channel may be the first sign of a death that explains it. */
  async #explainLate(error: unknown): Promise<Error> {
    if (!isTimeout(error) && !this.signal.aborted) {
      const never = new Promise<never>(() => undefined);
      const bounds = this.#bounds(this.limits.lostSession * 2);
      await boundedWait('The end of the VM', never, bounds).catch(() => undefined);
    }
    return this.explain(error);
  }

  async #quit(): Promise<void> {
    await this.#qmp?.execute('quit', {}, this.#boundsOfQemu());
  }

  /** The death of the guest is not the end of QEMU. */
  #boundsOfQemu(): WaitBounds {
    return { signal: new AbortController().signal, deadlineMs: this.limits.monitor };
  }

  #bounds(deadlineMs: number): WaitBounds {
    return { signal: this.signal, deadlineMs };
  }

  #session(): SshSession {
    switch (this.#state.kind) {
      case 'ready':
        return this.#state.ssh;
      case 'dead':
        throw this.#state.failure;
      case 'booting':
      case 'suspended':
      case 'gone':
        throw new Error(`A command needs a VM that is ready, and this one is ${this.#state.kind}`);
    }
  }

  #monitor(): QmpClient {
    if (this.#qmp) return this.#qmp;
    throw new Error('The monitor is used before QEMU has greeted');
  }

  #withConsole(error: Error): Error {
    if (!(error instanceof RigError) || error.failureClass === 'usage') return error;
    const tail = this.console.tail(5).map((line) => `  ${line}`);
    const heard =
      tail.length > 0 ? `The console's last lines:\n${tail.join('\n')}` : 'The console never said anything.';
    const where = `Logs: ${this.folder.path}`;
    const { failureClass, message, remedy } = error;
    return new RigError(failureClass, `${message}\n${heard}\n${where}`, {
      ...(remedy === undefined ? {} : { remedy }),
      cause: error,
    });
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof RigError && error.failureClass === 'timeout';
}

function kernelFailure(report: KernelReport, cause: unknown): RigError {
  return new RigError('kernel', `The guest's kernel reported: ${report.title}`, { cause });
}

/** `reason` is the one that QEMU gave when it began to end by itself. */
function exitFailure({ code, signal, stderr }: QemuExit, reason: string | undefined): RigError {
  if (reason === 'guest-reset') {
    const what = 'The guest was reset while its VM was in use: by a triple fault, or by its own kernel.';
    return new RigError('kernel', `${what}${saidBy(stderr)}`);
  }
  const why = reason === undefined ? '' : ` (${reason})`;
  const how = signal === null ? `exited with code ${String(code)}` : `was killed by ${signal}`;
  const killed = {
    remedy: 'If nobody killed it, the host was short of memory: see its kernel log, and lower --max-vms.',
  };
  return new RigError(
    'infrastructure',
    `QEMU ${how}${why} while its VM was in use.${saidBy(stderr)}`,
    signal === 'SIGKILL' ? killed : {},
  );
}

function saidBy(stderr: string): string {
  return stderr.trim() === '' ? '' : `\nIt said: ${stderr.trim()}`;
}

/** QEMU says what KVM stumbled over, and the state of the processor. */
function brokenKvm(stderr: string): RigError {
  return new RigError(
    'infrastructure',
    `The host's KVM could not run the guest any further, and QEMU has stopped it.${saidBy(stderr)}`,
    {
      remedy: "The host's kernel log may say why. --accel tcg does without KVM.",
    },
  );
}

function hostDiskFailure({ data }: QmpEvent): RigError {
  const full = data['nospace'] === true;
  const what = full ? "The host's disk is full" : `The host's disk failed (${String(data['reason'])})`;
  return new RigError('infrastructure', `${what}: what the guest swaps out can't be written.`, {
    remedy: 'Free some space where the artifacts are.',
  });
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
