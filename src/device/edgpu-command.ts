/** Ring slots and scatter lists as bytes. */
import { edgpu } from './edgpu-constants.ts';

export interface Command {
  readonly opcode: number;
  readonly flags?: number;
  readonly src?: bigint;
  readonly dst?: bigint;
  readonly len?: bigint;
  readonly srcEntries?: number;
  readonly dstEntries?: number;
  readonly value?: bigint;
  readonly reserved?: readonly [bigint, bigint];
}

export interface ScatterEntry {
  readonly addr: bigint;
  readonly len: bigint;
}

export const OP = {
  nop: edgpu('OP_NOP'),
  copy: edgpu('OP_COPY'),
  fill: edgpu('OP_FILL'),
  checksum: edgpu('OP_CHECKSUM'),
  fence: edgpu('OP_FENCE'),
} as const;

export const FLAG = {
  srcVram: edgpu('FLAG_SRC_VRAM'),
  dstVram: edgpu('FLAG_DST_VRAM'),
  srcSg: edgpu('FLAG_SRC_SG'),
  dstSg: edgpu('FLAG_DST_SG'),
  writeback: edgpu('FLAG_WRITEBACK'),
  irq: edgpu('FLAG_IRQ'),
} as const;

export const FAULT = {
  none: edgpu('FAULT_NONE'),
  dmaLimit: edgpu('FAULT_DMA_LIMIT'),
  dmaHole: edgpu('FAULT_DMA_HOLE'),
  iommu: edgpu('FAULT_IOMMU'),
  busMaster: edgpu('FAULT_BUS_MASTER'),
  power: edgpu('FAULT_POWER'),
  vramRange: edgpu('FAULT_VRAM_RANGE'),
  badCommand: edgpu('FAULT_BAD_COMMAND'),
  ringOverrun: edgpu('FAULT_RING_OVERRUN'),
  hardware: edgpu('FAULT_HARDWARE'),
} as const;

export function encodeCommand(command: Command): Uint8Array {
  const slot = new DataView(new ArrayBuffer(edgpu('CMD_SIZE')));
  const u32 = (field: string, value: number) => slot.setUint32(edgpu(`CMD_${field}`), value, true);
  const u64 = (field: string, value: bigint) => slot.setBigUint64(edgpu(`CMD_${field}`), value, true);
  u32('OPCODE', command.opcode);
  u32('FLAGS', command.flags ?? 0);
  u64('SRC', command.src ?? 0n);
  u64('DST', command.dst ?? 0n);
  u64('LEN', command.len ?? 0n);
  u32('SRC_NENTS', command.srcEntries ?? 0);
  u32('DST_NENTS', command.dstEntries ?? 0);
  u64('VALUE', command.value ?? 0n);
  const [first, second] = command.reserved ?? [0n, 0n];
  u64('RESERVED', first);
  slot.setBigUint64(edgpu('CMD_RESERVED') + 8, second, true);
  return new Uint8Array(slot.buffer);
}

export function encodeScatterList(entries: readonly ScatterEntry[]): Uint8Array {
  const size = edgpu('SG_SIZE');
  const list = new DataView(new ArrayBuffer(entries.length * size));
  entries.forEach(({ addr, len }, i) => {
    list.setBigUint64(i * size + edgpu('SG_ADDR'), addr, true);
    list.setBigUint64(i * size + edgpu('SG_LEN'), len, true);
  });
  return new Uint8Array(list.buffer);
}

/** Bytes that differ everywhere and depend on nothing but the seed. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (Math.imul(seed, 0x9e3779b1) | 1) >>> 0;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}
