/** A machine with an edgpu and no guest: the test is its firmware, its driver and its processor. */
import { setMaxListeners } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject, test as baseTest } from 'vitest';
import { channelFd, QemuProcess } from '../vm/qemu/qemu-process.ts';
import { QmpClient, type QmpEvent } from '../vm/qemu/qmp.ts';
import { PCI_COMMAND_MASTER, PCI_COMMAND_MEMORY, PciFunction, QtestClient } from './qtest.ts';
import type { WaitBounds } from '../util/bounded-wait.ts';
import { edgpu } from './edgpu-constants.ts';
import { encodeCommand, type Command } from './edgpu-command.ts';
import { EdgpuMonitor, type EdgpuStatistics } from './edgpu-monitor.ts';

const DEADLINE_MS = 20_000;
const SLOT = 4;
const PORT_BUS = 1;
const QOM_PATH = '/machine/peripheral/gpu0';

/** Where the test, as firmware, puts the BARs. */
const BAR = { regs: 0xe000_0000n, vram: 0xd000_0000n, msix: 0xe010_0000n } as const;

/** System memory, in ranges that each need more address bits than the one before. */
export const RAM = {
  low: { base: 0n, size: 128 << 20 },
  oneTiB: { base: 1n << 40n, size: 128 << 20 },
  top: { base: 1n << 48n, size: 128 << 20 },
} as const;

export const VRAM_SIZE = 16 << 20;
/** Half of VRAM is beyond the processor's reach. */
export const APERTURE_SIZE = 8 << 20;

/** Fixed places in low memory; tests use what is above `DATA`. */
const RINGS = 0x10_0000n;
const RING_STRIDE = 0x4_0000n;
/** Where the message of vector 0 goes; each further one goes 4 bytes higher. */
export const MESSAGES = 0x9_0000n;
export const DATA = 0x20_0000n;
export const DATA_END = BigInt(RAM.low.size);

interface QemuFiles {
  readonly binary: string;
  readonly firmware: readonly string[];
}

/**
 * What the rig built; DGPU_RIG_QEMU, with DGPU_RIG_FIRMWARE (folders), tests another QEMU: one with sanitizers, say.
 */
function qemuFiles(): QemuFiles {
  const binary = process.env['DGPU_RIG_QEMU'];
  if (binary !== undefined) {
    return { binary, firmware: (process.env['DGPU_RIG_FIRMWARE'] ?? '').split(':').filter((folder) => folder !== '') };
  }
  const provided = inject('rig') as { build: { qemu: QemuFiles } } | undefined;
  if (!provided) throw new Error('No QEMU: run through dgpu-rig, or set DGPU_RIG_QEMU.');
  return provided.build.qemu;
}

interface MachineOptions {
  /** Properties of the device, beside its id and place. */
  readonly device?: string;
  /** A conventional bus has neither PCI Express capability nor FLR. */
  readonly bus?: 'express' | 'conventional';
  /** How the processor runs, if at all: by default time stands still, and only `stepClock` moves it. */
  readonly accel?: 'qtest' | 'tcg';
  /** Properties of the processor, beside those that all machines have. */
  readonly cpu?: string;
  /** No device from the start: it is for the test to plug one in. */
  readonly empty?: boolean;
  /** In a PCI Express port that can be emptied, instead of on the root bus. */
  readonly hotPluggable?: boolean;
  /** Arguments that must come before the device: a vIOMMU. */
  readonly before?: readonly string[];
  /** Arguments of QEMU. */
  readonly extra?: readonly string[];
}

export class EdgpuMachine {
  readonly #process: QemuProcess;
  readonly #bounds: WaitBounds;
  readonly qmp: QmpClient;
  readonly monitor: EdgpuMonitor;
  readonly qtest: QtestClient;
  readonly pci: PciFunction;
  /** The port above it, if `hotPluggable`. */
  readonly port: PciFunction;
  /** Next slot to fill, for each ring that was set up. */
  readonly #tails = new Map<number, { tail: number; slots: number }>();

  private constructor(
    qemu: QemuProcess,
    bounds: WaitBounds,
    qmp: QmpClient,
    qtest: QtestClient,
    hotPluggable: boolean,
  ) {
    this.#process = qemu;
    this.#bounds = bounds;
    this.qmp = qmp;
    this.monitor = new EdgpuMonitor((command, args) => this.execute(command, args), QOM_PATH);
    this.qtest = qtest;
    this.port = new PciFunction(qtest, SLOT);
    this.pci = hotPluggable ? new PciFunction(qtest, 0, PORT_BUS) : this.port;
  }

  /** As firmware leaves it: BARs placed, decoding and bus mastering on. */
  static async start(options: MachineOptions = {}): Promise<EdgpuMachine> {
    const machine = await EdgpuMachine.spawn(options);
    await machine.placeBars();
    return machine;
  }

  /** As the power button leaves it. */
  static async spawn(options: MachineOptions): Promise<EdgpuMachine> {
    const qemu = await spawnQemu(options);
    const gone = new AbortController();
    // Every command in flight listens to it, and tests send hundreds at once.
    setMaxListeners(0, gone.signal);
    void qemu.exited.then(({ code, signal, stderr }) =>
      gone.abort(new Error(`QEMU exited (code ${String(code)}, signal ${String(signal)}): ${stderr}`)),
    );
    const bounds = { signal: gone.signal, deadlineMs: DEADLINE_MS };
    const [monitor, control] = qemu.channels;
    if (!monitor || !control) throw new Error('QEMU was started without its channels');
    const qtest = new QtestClient(control, bounds);
    try {
      const qmp = await QmpClient.open(monitor, bounds);
      return new EdgpuMachine(qemu, bounds, qmp, qtest, options.hotPluggable ?? false);
    } catch (cause) {
      await qemu.end(() => Promise.resolve());
      throw new Error(`QEMU did not start: ${(await qemu.exited).stderr}`, { cause });
    }
  }

  /** Of QEMU. */
  get pid(): number {
    return this.#process.pid;
  }

  async end(): Promise<void> {
    await this.#process.end(() => this.execute('quit'));
  }

  // --- Monitor ---

  execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    return this.qmp.execute(command, args, this.#bounds);
  }

  /** The first event that is meant and that nobody has waited for, past or future. */
  waitForEvent(name: string, isMeant?: (data: QmpEvent['data']) => boolean): Promise<QmpEvent> {
    return this.qmp.waitFor(name, this.#bounds, isMeant);
  }

  get(property: string): Promise<unknown> {
    return this.execute('qom-get', { path: QOM_PATH, property });
  }

  async set(property: string, value: unknown): Promise<void> {
    await this.execute('qom-set', { path: QOM_PATH, property, value });
  }

  async statistic(name: keyof EdgpuStatistics): Promise<number> {
    return (await this.monitor.statistics())[name];
  }

  /** All EDGPU_FAULT events so far; the command makes sure that none is still on its way. */
  async faultEvents(): Promise<Record<string, unknown>[]> {
    await this.execute('query-status');
    return this.qmp.seen('EDGPU_FAULT').map(({ data }) => data);
  }

  // --- Function ---

  async placeBars(): Promise<void> {
    if (this.pci !== this.port) await this.#openPort();
    await this.pci.setBar(edgpu('BAR_REGS'), BAR.regs);
    await this.pci.setBar(edgpu('BAR_VRAM'), BAR.vram);
    await this.pci.setBar(edgpu('BAR_MSIX'), BAR.msix);
    await this.pci.setCommand(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
  }

  /** Routes the bus number and both BARs' windows through the port. */
  async #openPort(): Promise<void> {
    await this.port.write(0x18, 4, (PORT_BUS << 16) | (PORT_BUS << 8));
    await this.port.write(0x20, 4, 0xe0f0_e000);
    await this.port.write(0x24, 4, 0xd0f0_d000);
    await this.port.setCommand(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
  }

  /** Sends each MSI-X vector to a word of its own, which `takeMessages` reads. */
  async enableMsix(capability: number): Promise<void> {
    for (let vector = 0; vector <= edgpu('MAX_ENGINES'); vector++) {
      const entry = BAR.msix + BigInt(vector * 16);
      await this.qtest.write(entry, 4, MESSAGES + BigInt(vector * 4));
      await this.qtest.write(entry + 4n, 4, 0n);
      await this.qtest.write(entry + 8n, 4, BigInt(0xa0 + vector));
      await this.qtest.write(entry + 12n, 4, 0n);
    }
    await this.pci.write(capability + 2, 2, 0x8000);
  }

  /** The vectors that fired since the last call. */
  async takeMessages(): Promise<number[]> {
    const words = new Uint32Array((await this.qtest.readBytes(MESSAGES, 4 * (edgpu('MAX_ENGINES') + 1))).buffer);
    await this.qtest.writeBytes(MESSAGES, new Uint8Array(words.byteLength));
    return Array.from(words).flatMap((word, vector) => (word === 0xa0 + vector ? [vector] : []));
  }

  // --- Registers ---

  /** A global register by its name in edgpu_regs.h, without EDGPU_REG_. */
  readRegister(name: string, size: 4 | 8 = 4): Promise<bigint> {
    return this.qtest.read(BAR.regs + BigInt(edgpu(`REG_${name}`)), size);
  }

  writeRegister(name: string, value: bigint, size: 4 | 8 = 4): Promise<void> {
    return this.qtest.write(BAR.regs + BigInt(edgpu(`REG_${name}`)), size, value);
  }

  /** An engine's register by its name, without EDGPU_ENG_. */
  readEngine(engine: number, name: string, size: 4 | 8 = 4): Promise<bigint> {
    return this.qtest.read(BAR.regs + engineRegister(engine, name), size);
  }

  writeEngine(engine: number, name: string, value: bigint, size: 4 | 8 = 4): Promise<void> {
    return this.qtest.write(BAR.regs + engineRegister(engine, name), size, value);
  }

  /** A register of the display by its name, without EDGPU_DISP_. */
  readDisplay(name: string, size: 4 | 8 = 4): Promise<bigint> {
    return this.qtest.read(BAR.regs + displayRegister(name), size);
  }

  writeDisplay(name: string, value: bigint, size: 4 | 8 = 4): Promise<void> {
    return this.qtest.write(BAR.regs + displayRegister(name), size, value);
  }

  readRegsBar(offset: number, size: 1 | 2 | 4 | 8): Promise<bigint> {
    return this.qtest.read(BAR.regs + BigInt(offset), size);
  }

  writeRegsBar(offset: number, size: 1 | 2 | 4 | 8, value: bigint): Promise<void> {
    return this.qtest.write(BAR.regs + BigInt(offset), size, value);
  }

  writeMsixBar(offset: number, size: 1 | 2 | 4 | 8, value: bigint): Promise<void> {
    return this.qtest.write(BAR.msix + BigInt(offset), size, value);
  }

  // --- VRAM, through the aperture ---

  readVram(offset: number, length: number): Promise<Uint8Array> {
    return this.qtest.readBytes(BAR.vram + BigInt(offset), length);
  }

  writeVram(offset: number, bytes: Uint8Array): Promise<void> {
    return this.qtest.writeBytes(BAR.vram + BigInt(offset), bytes);
  }

  // --- Rings ---

  /** Resets the engine and gives it an empty ring. */
  async setUpRing(engine: number, slots = 64, base = ringBase(engine)): Promise<void> {
    await this.writeEngine(engine, 'CONTROL', BigInt(edgpu('CONTROL_RESET')));
    await this.writeEngine(engine, 'RING_BASE', base, 8);
    await this.writeEngine(engine, 'RING_SIZE', BigInt(slots));
    this.#tails.set(engine, { tail: 0, slots });
  }

  /** Fills slots and rings the doorbell; nothing runs before the clock moves. */
  async submit(engine: number, commands: readonly Command[]): Promise<void> {
    await this.submitRaw(
      engine,
      commands.map((command) => encodeCommand(command)),
    );
  }

  async submitRaw(engine: number, slots: readonly Uint8Array[]): Promise<void> {
    const ring = this.#tails.get(engine);
    if (!ring) throw new Error(`Engine ${engine} has no ring`);
    for (const slot of slots) {
      await this.qtest.writeBytes(ringBase(engine) + BigInt(ring.tail * edgpu('CMD_SIZE')), slot);
      ring.tail = (ring.tail + 1) % ring.slots;
    }
    await this.writeEngine(engine, 'TAIL', BigInt(ring.tail));
  }

  /** Moves the clock until no engine is busy. */
  async drain(): Promise<void> {
    const engines = Number(await this.readRegister('ENGINES'));
    for (let engine = 0; engine < engines; engine++) {
      // A bound for a broken device: every slice of the longest test fits into it many times.
      for (let i = 0; i < 100_000 && (await this.isBusy(engine)); i++) await this.qtest.stepClock();
    }
  }

  async isBusy(engine: number): Promise<boolean> {
    return (Number(await this.readEngine(engine, 'STATUS')) & edgpu('STATUS_BUSY')) !== 0;
  }

  async run(engine: number, commands: readonly Command[]): Promise<void> {
    await this.submit(engine, commands);
    await this.drain();
  }

  /** What an engine's fault registers say. */
  async fault(engine: number): Promise<{ kind: number; slot: number; address: bigint }> {
    return {
      kind: Number(await this.readEngine(engine, 'FAULT_KIND')),
      slot: Number(await this.readEngine(engine, 'FAULT_SLOT')),
      address: await this.readEngine(engine, 'FAULT_ADDR', 8),
    };
  }
}

/** What QEMU says about options that it must refuse. */
export async function startRefused(options: MachineOptions): Promise<string> {
  const qemu = await spawnQemu(options);
  return (await qemu.exited).stderr;
}

function spawnQemu(options: MachineOptions): Promise<QemuProcess> {
  const { binary, firmware } = qemuFiles();
  const args = firmware.flatMap((folder) => ['-L', folder]);
  return QemuProcess.spawn(binary, [...args, ...machineArguments(options)], 2);
}

/** A test with machines: each ends with its test, however that went. */
export const test = baseTest.extend<{
  startMachine: (options?: MachineOptions) => Promise<EdgpuMachine>;
  spawnMachine: (options: MachineOptions) => Promise<EdgpuMachine>;
  machine: EdgpuMachine;
  folder: string;
}>({
  spawnMachine: async ({}, use) => {
    const machines: EdgpuMachine[] = [];
    await use(async (options) => {
      const machine = await EdgpuMachine.spawn(options);
      machines.push(machine);
      return machine;
    });
    await Promise.all(machines.map((machine) => machine.end()));
  },
  startMachine: async ({ spawnMachine }, use) => {
    await use(async (options = {}) => {
      const machine = await spawnMachine(options);
      await machine.placeBars();
      return machine;
    });
  },
  /** With a ring of 64 slots on engine 0. */
  machine: async ({ startMachine }, use) => {
    const machine = await startMachine();
    await machine.setUpRing(0);
    await use(machine);
  },
  folder: async ({}, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'edgpu-test-'));
    await use(folder);
    await rm(folder, { recursive: true });
  },
});

export function ringBase(engine: number): bigint {
  return RINGS + BigInt(engine) * RING_STRIDE;
}

function engineRegister(engine: number, name: string): bigint {
  return BigInt(edgpu('ENGINE_BASE') + engine * edgpu('ENGINE_STRIDE') + edgpu(`ENG_${name}`));
}

function displayRegister(name: string): bigint {
  return BigInt(edgpu('DISPLAY_BASE') + edgpu(`DISP_${name}`));
}

function machineArguments(options: MachineOptions): string[] {
  const { device = '', bus = 'express', before = [], extra = [], hotPluggable = false } = options;
  const { accel = 'qtest', cpu, empty = false } = options;
  const place = hotPluggable ? 'bus=port0,addr=0.0' : `addr=${SLOT}.0`;
  const dimm = (name: string, { base, size }: { base: bigint; size: number }) => [
    ...['-object', `memory-backend-ram,id=m-${name},size=${size}`],
    ...['-device', `pc-dimm,id=d-${name},memdev=m-${name},addr=0x${base.toString(16)}`],
  ];
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-accel', accel],
    ...['-machine', bus === 'express' ? 'q35' : 'pc'],
    // An AMD processor would make QEMU move memory above 4 GiB to 1 TiB.
    ...['-cpu', ['max,vendor=GenuineIntel,phys-bits=52', ...(cpu === undefined ? [] : [cpu])].join()],
    ...['-m', `size=${RAM.low.size >> 20}M,slots=2,maxmem=600T`],
    ...dimm('1t', RAM.oneTiB),
    ...dimm('256t', RAM.top),
    ...['-chardev', `socket,id=monitor,fd=${channelFd(0)}`, '-mon', 'chardev=monitor,mode=control'],
    ...['-chardev', `socket,id=qtest,fd=${channelFd(1)}`, '-qtest', 'chardev:qtest', '-qtest-log', 'none'],
    ...before,
    ...(hotPluggable ? portArguments() : []),
    ...(empty ? [] : ['-device', ['edgpu', 'id=gpu0', place, ...sizes(device), device].filter(Boolean).join(',')]),
    ...extra,
  ];
}

/** Where a device comes and goes by the port's own registers, as on real machines, and not by ACPI. */
function portArguments(): string[] {
  return [
    ...['-global', 'ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off'],
    ...['-device', `pcie-root-port,id=port0,chassis=1,addr=${SLOT}.0`],
  ];
}

/** VRAM small enough to compare whole, unless the test wants another size. */
function sizes(device: string): string[] {
  return device.includes('-size=') ? [] : [`vram-size=${VRAM_SIZE}`, `aperture-size=${APERTURE_SIZE}`];
}
