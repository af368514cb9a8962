/** The emulated GPU as a test sees it: its driver in the guest, its own counters, and what the host heard of its faults. */
import { z } from 'zod';
import { RigError } from '../util/rig-error.ts';
import { GPU_QOM_PATH } from '../vm/command-line.ts';
import type { Vm } from '../vm/vm.ts';
import type { Guest } from './guest.ts';
import type { Backend } from './rig-context.ts';

/** Of the device, where a suite does not say otherwise. */
export const GPU_MEMORY = { vramMiB: 256, apertureMiB: 256 } as const;

const RENDER_NODE = '/dev/dri/renderD128';

const properties = z.array(z.object({ name: z.string(), type: z.string() }));

const faultEvent = z.object({
  path: z.string(),
  engine: z.number(),
  slot: z.number(),
  kind: z.union([z.string(), z.number()]),
  address: z.number(),
});

export type FaultEvent = z.infer<typeof faultEvent>;

const stressReport = z.looseObject({
  ok: z.boolean(),
  bytesVerified: z.number(),
  checksumsVerified: z.number(),
  objects: z.number(),
  mismatches: z.number(),
  firstError: z.string().optional(),
  phasesMs: z.record(z.string(), z.number()),
});

export type StressReport = z.infer<typeof stressReport>;

export interface DriverOptions {
  readonly backend: Backend;
  /** The limit the driver tells the DMA API and the backend; by default what the device says it has. */
  readonly dmaBits?: number;
}

export interface StressOptions {
  readonly bytes: number;
  readonly objectSize: number;
  readonly seed: number;
  readonly deadlineMs: number;
}

export class Gpu {
  readonly #vm: Vm;
  readonly #guest: Guest;

  constructor(vm: Vm, guest: Guest) {
    this.#vm = vm;
    this.#guest = guest;
  }

  /** Loads the driver; returns when user space can open the device. */
  async load({ backend, dmaBits }: DriverOptions): Promise<void> {
    const limit = dmaBits === undefined ? '' : ` dma_bits=${String(dmaBits)}`;
    await this.#guest.run(`modprobe edgpu backend=${backend}${limit} && test -c ${RENDER_NODE}`);
  }

  async unload(): Promise<void> {
    await this.#guest.run('rmmod edgpu');
  }

  /** Runs the stress program; wrong content is a report with `ok: false`, not an exception. */
  async stress({ bytes, objectSize, seed, deadlineMs }: StressOptions): Promise<StressReport> {
    const command = `edgpu-stress smoke --bytes ${String(bytes)} --object-size ${String(objectSize)} --seed ${String(seed)}`;
    const { stdout, stderr, exitCode } = await this.#guest.exec(command, { deadlineMs });
    const line = stdout.trim().split('\n').at(-1) ?? '';
    const report = parseReport(line);
    if (report) return report;
    const said = `${stdout}\n${stderr}`.trim();
    throw new RigError('test', `"${command}" ended with exit code ${String(exitCode)} and no report. It said: ${said}`);
  }

  /** Every counter of the device, by its property name without "stat-". */
  async statistics(): Promise<Readonly<Record<string, number>>> {
    const found = await this.#vm.qmp('qom-list', { path: GPU_QOM_PATH }, properties);
    const names = found.map(({ name }) => name).filter((name) => name.startsWith('stat-'));
    const values = await Promise.all(
      names.map(async (name) => [name.slice('stat-'.length), await this.#counter(name)]),
    );
    return Object.fromEntries(values) as Record<string, number>;
  }

  /** Every fault the host was told of. */
  faultEvents(): FaultEvent[] {
    return this.#vm.events('EDGPU_FAULT').map(({ data }) => faultEvent.parse(data));
  }

  #counter(property: string): Promise<number> {
    return this.#vm.qmp('qom-get', { path: GPU_QOM_PATH, property }, z.number());
  }
}

function parseReport(line: string): StressReport | undefined {
  try {
    return stressReport.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
