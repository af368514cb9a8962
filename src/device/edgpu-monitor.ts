/** What the host asks of a device by QMP: failures on demand, and statistics. rig/edgpu/edgpu.qapi describes each. */
import { z } from 'zod';

const commandOf = { at: z.number().optional(), engine: z.number().optional() };

const failure = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.enum(['hang', 'error', 'dead', 'unplug']), ...commandOf }),
  z.strictObject({ kind: z.literal('delay'), ...commandOf, ns: z.number() }),
  z.strictObject({ kind: z.literal('flip'), ...commandOf, offset: z.number(), bit: z.number().optional() }),
  z.strictObject({ kind: z.literal('drop-irq'), at: z.number().optional(), vector: z.number().optional() }),
]);

/** A failure that happens once: at the command, or message, `at`, counted from now on; 1 is the next. */
export type EdgpuFailure = Readonly<z.infer<typeof failure>>;

const counter = z.number();

const statistics = z.strictObject({
  commands: counter,
  irqs: counter,
  'max-irq-address': counter,
  frames: counter,
  'dma-read-bytes': counter,
  'dma-write-bytes': counter,
  'max-dma-address': counter,
  'dma-accesses': counter,
  'dma-above-4g': counter,
  'dma-above-1t': counter,
  'dma-above-256t': counter,
  injected: counter,
  'slice-ns': counter,
  faults: counter,
  'faults-dma-limit': counter,
  'faults-dma-hole': counter,
  'faults-iommu': counter,
  'faults-bus-master': counter,
  'faults-power': counter,
  'faults-vram-range': counter,
  'faults-bad-command': counter,
  'faults-ring-overrun': counter,
  'faults-hardware': counter,
});

/** Every counter of a device, all of one moment. */
export type EdgpuStatistics = Readonly<z.infer<typeof statistics>>;

type Execute = (command: string, args: Record<string, unknown>) => Promise<unknown>;

/** The QMP commands of one device. */
export class EdgpuMonitor {
  readonly #execute: Execute;
  /** Where in QEMU's object tree the device is. */
  readonly path: string;

  constructor(execute: Execute, path: string) {
    this.#execute = execute;
    this.path = path;
  }

  /** Adds to what is pending. */
  async inject(...failures: readonly EdgpuFailure[]): Promise<void> {
    await this.#execute('edgpu-inject', { path: this.path, failures });
  }

  /** Drops what is pending; a dead device is as after power-on. */
  async clearFailures(): Promise<void> {
    await this.#execute('edgpu-clear-failures', { path: this.path });
  }

  async pendingFailures(): Promise<EdgpuFailure[]> {
    return z.array(failure).parse(await this.#execute('query-edgpu-failures', { path: this.path }));
  }

  async statistics(): Promise<EdgpuStatistics> {
    return statistics.parse(await this.#execute('query-edgpu-statistics', { path: this.path }));
  }

  async resetStatistics(): Promise<void> {
    await this.#execute('edgpu-reset-statistics', { path: this.path });
  }
}
