/**
 * The emulated GPU as a test sees it: its driver in the guest, its own counters, and what the host heard of its faults.
 */
import { z } from 'zod';
import { EdgpuMonitor, type EdgpuFailure, type EdgpuStatistics } from '../../device/edgpu-monitor.ts';
import { gpuQomPath } from '../../vm/qemu/command-line.ts';
import type { Vm } from '../../vm/vm.ts';
import type { Guest } from '../guest/guest.ts';
import { whileNotSampling } from '../guest/memory-sampler.ts';
import type { Backend } from '../../config/combination.ts';

export type { EdgpuFailure };

const FIRST_RENDER_MINOR = 128;

/** Where the guest binds devices to the driver, and takes them away from it. */
export const DRIVER_FOLDER = '/sys/bus/pci/drivers/edgpu';

/** Of the PCI device. */
const BAR_REGISTERS = 0;
const BAR_VRAM = 2;

/** A register: rig/edgpu/edgpu.md, section 2.1. */
const VRAM_GENERATION = 0x20;

const faultEvent = z.object({
  path: z.string(),
  /** Absent for a message that is out of reach. */
  engine: z.number().optional(),
  slot: z.number().optional(),
  kind: z.union([z.string(), z.number()]),
  address: z.number(),
});

type FaultEvent = z.infer<typeof faultEvent>;

export interface DriverOptions {
  /** `gem` is not for all suites: its objects are those of DRM's GEM shmem helper, without VRAM. */
  readonly backend: Backend | 'gem';
  /** Whether objects of backend `gem` are kept within the reach of the device; by default they are. */
  readonly gemLimit?: boolean;
  /** Whether what is exported of an object of backend `gem` is its shmem file, which programs then map as any. */
  readonly gemExportFile?: boolean;
  /** The limit the driver tells the DMA API and the backend; by default what the device says it has. */
  readonly dmaBits?: number;
  /** How the shrinker comes by objects, and how much it does in a call; by default what the driver prefers. */
  readonly walk?: Walk;
  readonly policy?: Policy;
  /** Whether no more VRAM is handed out than could be saved; by default it is so. */
  readonly suspendBudget?: boolean;
  /** Whether objects of backend `shmem` have large folios. */
  readonly huge?: boolean;
  /** What importers of dma-bufs may pin; by default half of what the device reaches. */
  readonly pinLimitMiB?: number;
  /** Whether objects are charged to the root memory cgroup, rather than to that of whoever makes them. */
  readonly chargeRoot?: boolean;
  /** Whether cgroups can have limits on VRAM; by default they can. */
  readonly dmem?: boolean;
}

export const WALKS = ['macro', 'callback', 'next'] as const;
export type Walk = (typeof WALKS)[number];
export const POLICIES = ['pages', 'bo'] as const;
export type Policy = (typeof POLICIES)[number];

export class Gpu {
  readonly #vm: Vm;
  readonly #guest: Guest;
  /** Which of the machine's devices, from 0. */
  readonly unit: number;
  readonly #qomPath: string;
  readonly #monitor: EdgpuMonitor;

  constructor(vm: Vm, guest: Guest, unit = 0) {
    this.#vm = vm;
    this.#guest = guest;
    this.unit = unit;
    this.#qomPath = gpuQomPath(unit);
    this.#monitor = new EdgpuMonitor((command, args) => vm.qmp(command, args, z.unknown()), this.#qomPath);
  }

  /** Where user space opens the device; the guest finds devices in the order in which they are plugged in. */
  get renderNode(): string {
    return `/dev/dri/renderD${String(FIRST_RENDER_MINOR + this.unit)}`;
  }

  /** Of the PCI device, as in `0000:00:05.0`: it outlives the render node. */
  async pciAddress(): Promise<string> {
    return (await this.#guest.run(`basename $(readlink -f ${this.#device})`)).trim();
  }

  /** Loads the driver, for all devices of the machine; returns when user space can open this one. */
  async load(options: DriverOptions): Promise<void> {
    const { backend, gemLimit, gemExportFile, dmaBits, walk, policy } = options;
    const { huge, suspendBudget, pinLimitMiB, chargeRoot, dmem } = options;
    const suspend_budget = suspendBudget === undefined ? undefined : Number(suspendBudget);
    const gem_limit = gemLimit === undefined ? undefined : Number(gemLimit);
    const large = huge === undefined ? undefined : Number(huge);
    const gem_export_file = gemExportFile === undefined ? undefined : Number(gemExportFile);
    const limits = { gem_limit, gem_export_file, dma_bits: dmaBits, suspend_budget, pin_limit: pinLimitMiB };
    const charge_root = chargeRoot === undefined ? undefined : Number(chargeRoot);
    const cgroups = { charge_root, dmem: dmem === undefined ? undefined : Number(dmem) };
    const all = { backend, ...limits, walk, policy, huge: large, ...cgroups };
    const parameters = Object.entries(all).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${String(value)}`],
    );
    await this.#guest.run(`modprobe edgpu ${parameters.join(' ')} && test -c ${this.renderNode}`);
  }

  async unload(): Promise<void> {
    await this.#guest.run(whileNotSampling('rmmod edgpu'));
  }

  /** Changes how far the running device reaches; the driver learns of it when it is loaded. */
  async setDmaBits(dmaBits: number): Promise<void> {
    await this.#set('dma-bits', dmaBits);
  }

  async resetStatistics(): Promise<void> {
    await this.#monitor.resetStatistics();
  }

  /** Every counter of the device, all of one moment. */
  statistics(): Promise<EdgpuStatistics> {
    return this.#monitor.statistics();
  }

  /** Has the device fail when its time has come, as section 9 of rig/edgpu/edgpu.md describes. */
  async inject(...failures: readonly EdgpuFailure[]): Promise<void> {
    await this.#monitor.inject(...failures);
  }

  /** Drops what has not happened yet; a dead device is as after power-on. */
  async clearFailures(): Promise<void> {
    await this.#monitor.clearFailures();
  }

  /** What was injected and has not happened yet. */
  pendingFailures(): Promise<EdgpuFailure[]> {
    return this.#monitor.pendingFailures();
  }

  /** Slows every engine down, on the virtual clock; 0 is no limit. */
  async throttle({ bandwidth = 0, latencyNs = 0 }: { bandwidth?: number; latencyNs?: number }): Promise<void> {
    await this.#set('bandwidth', bandwidth);
    await this.#set('latency-ns', latencyNs);
  }

  /** How often the device has lost its memory, plus 1: its own register, read by the host while the device is in D0. */
  async vramGeneration(): Promise<number> {
    return Number(await this.#readBar(BAR_REGISTERS, VRAM_GENERATION, 'w'));
  }

  /** Eight bytes of the device's memory, read by the host, behind the guest's back. */
  readVram(offset: number): Promise<bigint> {
    return this.#readBar(BAR_VRAM, offset, 'g');
  }

  /** Every fault of this device that the host was told of. */
  faultEvents(): FaultEvent[] {
    const faults = this.#vm.events('EDGPU_FAULT').map(({ data }) => faultEvent.parse(data));
    return faults.filter(({ path }) => path === this.#qomPath);
  }

  /** What is at an offset in a BAR: a word of 4 bytes or a giant one of 8. */
  async #readBar(bar: number, offset: number, size: 'w' | 'g'): Promise<bigint> {
    const [base = ''] = ((await this.#guest.read(`${this.#device}/resource`)).split('\n')[bar] ?? '').split(' ');
    const command = `xp /1${size}x ${base} + ${String(offset)}`;
    const said = await this.#vm.qmp('human-monitor-command', { 'command-line': command }, z.string());
    const [, value] = /: (0x[0-9a-f]+)/.exec(said) ?? [];
    if (value === undefined) throw new Error(`QEMU's monitor does not read BAR ${String(bar)} at ${base}: ${said}`);
    return BigInt(value);
  }

  /** The PCI device, as long as it has a driver. */
  get #device(): string {
    return `/sys/class/drm/renderD${String(FIRST_RENDER_MINOR + this.unit)}/device`;
  }

  async #set(property: string, value: number): Promise<void> {
    await this.#vm.qmp('qom-set', { path: this.#qomPath, property, value }, z.unknown());
  }
}
