/** What the tests of edgpu behind an IOMMU want of one, whatever it is. */
import type { EdgpuMachine } from '../../src/device/edgpu-machine.ts';

/** Pages are of 4 KiB, and all IOVAs within the same 2 MiB: one table of the last level. */
export interface Mapping {
  readonly iova: bigint;
  readonly page: bigint;
  /** 1 read, 2 write. */
  readonly access: 1 | 2 | 3;
}

export interface Iommu {
  /** For `-device`. */
  readonly option: (start: () => Promise<EdgpuMachine>) => string | Promise<string>;
  /** From now on edgpu reaches these pages and nothing else. */
  readonly map: (machine: EdgpuMachine, mappings: readonly Mapping[]) => Promise<void>;
}

/** Of edgpu: slot 4 of bus 0. */
export const DEVFN = 4 << 3;

/** Where its entry is in the table of a level, 1 the last. */
export function tableIndex(iova: bigint, level: 1 | 2 | 3): bigint {
  return (iova >> BigInt(3 + 9 * level)) & 511n;
}
