/** What edgpu.md promises, a second time: an engine, VRAM and a few ranges of memory, without rings, slices or PCI. */
import type { XXHashAPI } from 'xxhash-wasm';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import { FAULT, FLAG, OP, type Command, type ScatterEntry } from '../../src/device/edgpu-command.ts';

/** The engine moves a command's bytes in units: it reads one whole, then writes it. */
const UNIT = 64n << 10n;

/** A command with its scatter lists beside it, as they are in memory at `src` and `dst`. */
export interface Program {
  readonly command: Command;
  readonly srcList?: readonly ScatterEntry[];
  readonly dstList?: readonly ScatterEntry[];
}

export interface ModelFault {
  readonly kind: number;
  readonly address: bigint;
}

export interface MemoryRange {
  readonly base: bigint;
  readonly bytes: Uint8Array;
}

class Stop extends Error {
  readonly fault: ModelFault;

  constructor(kind: number, address: bigint) {
    super('the engine stops');
    this.fault = { kind, address };
  }
}

interface Side {
  readonly vram: boolean;
  readonly scattered: boolean;
  readonly entries: readonly ScatterEntry[];
}

export class EdgpuModel {
  readonly vram: Uint8Array;
  readonly memory: readonly MemoryRange[];
  readonly #limit: bigint;
  readonly #xxhash: XXHashAPI;
  fence = 0n;

  constructor(vramSize: number, memory: readonly MemoryRange[], dmaBits: number, xxhash: XXHashAPI) {
    this.vram = new Uint8Array(vramSize);
    this.memory = memory;
    this.#limit = 1n << BigInt(dmaBits);
    this.#xxhash = xxhash;
  }

  /** Undefined when all went well; the engine has done what it did before the fault otherwise. */
  run(program: Program): ModelFault | undefined {
    try {
      this.#execute(program);
      return undefined;
    } catch (error) {
      if (error instanceof Stop) return error.fault;
      throw error;
    }
  }

  #execute(program: Program): void {
    const { opcode, flags = 0, len = 0n, value = 0n } = program.command;
    const writesBack = opcode === OP.fence && (flags & FLAG.writeback) !== 0;
    const src = opcode === OP.copy || opcode === OP.checksum ? this.#side(program, 'src', len) : undefined;
    const dstLength = opcode === OP.checksum || writesBack ? 8n : len;
    const dst = dstLength > 0n ? this.#side(program, 'dst', dstLength) : undefined;
    if (opcode === OP.copy && src && dst) this.#copy(src, dst, len);
    if (opcode === OP.fill && dst) this.#fill(dst, len, value);
    if (opcode === OP.checksum && src && dst) this.#checksum(src, dst, len, value);
    if (opcode === OP.fence) {
      if (dst) this.#write(dst.vram, dst.entries[0]?.addr ?? 0n, littleEndian(value));
      this.fence = value;
    }
  }

  /** Checks all of an operand. */
  #side({ command, srcList, dstList }: Program, which: 'src' | 'dst', length: bigint): Side {
    const addr = (which === 'src' ? command.src : command.dst) ?? 0n;
    const list = which === 'src' ? srcList : dstList;
    const vram = ((command.flags ?? 0) & (which === 'src' ? FLAG.srcVram : FLAG.dstVram)) !== 0;
    const entries = list ?? [{ addr, len: length }];
    let left = length;
    entries.forEach(({ addr: start, len }, i) => {
      const isLast = i === entries.length - 1;
      if (len === 0n || len > left || (isLast && len !== left)) {
        throw new Stop(FAULT.badCommand, addr + BigInt(i * edgpu('SG_SIZE')));
      }
      const end = vram ? BigInt(this.vram.length) : this.#limit;
      const kind = vram ? FAULT.vramRange : FAULT.dmaLimit;
      if (start + len > end) throw new Stop(kind, start > end ? start : end);
      left -= len;
    });
    return { vram, scattered: list !== undefined, entries };
  }

  #copy(src: Side, dst: Side, len: bigint): void {
    const [from, to] = [src.entries[0]?.addr ?? 0n, dst.entries[0]?.addr ?? 0n];
    const linear = !src.scattered && !dst.scattered;
    const backward = linear && src.vram === dst.vram && to > from && to - from < len;
    if (backward) {
      for (let left = len; left > 0n;) {
        const unit = left < UNIT ? left : UNIT;
        left -= unit;
        this.#write(dst.vram, to + left, this.#read(src.vram, from + left, unit));
      }
      return;
    }
    for (const { parts, unit } of units([src, dst], len)) {
      const [read = 0n, write = 0n] = parts;
      this.#write(dst.vram, write, this.#read(src.vram, read, unit));
    }
  }

  #fill(dst: Side, len: bigint, value: bigint): void {
    const pattern = Buffer.concat(Array.from({ length: 2 }, () => littleEndian(value)));
    for (const { parts, unit, done } of units([dst], len)) {
      const phase = Number(done % 8n);
      this.#write(dst.vram, parts[0] ?? 0n, Buffer.alloc(Number(unit), pattern.subarray(phase, phase + 8)));
    }
  }

  #checksum(src: Side, dst: Side, len: bigint, seed: bigint): void {
    const hash = this.#xxhash.create64(seed);
    for (const { parts, unit } of units([src], len)) hash.update(this.#read(src.vram, parts[0] ?? 0n, unit));
    this.#write(dst.vram, dst.entries[0]?.addr ?? 0n, littleEndian(hash.digest()));
  }

  #read(vram: boolean, addr: bigint, len: bigint): Uint8Array {
    const bytes = this.#bytesAt(vram, addr, len);
    if (BigInt(bytes.length) < len) throw new Stop(FAULT.dmaHole, addr + BigInt(bytes.length));
    return bytes.slice();
  }

  #write(vram: boolean, addr: bigint, bytes: Uint8Array): void {
    const target = this.#bytesAt(vram, addr, BigInt(bytes.length));
    target.set(bytes.subarray(0, target.length));
    if (target.length < bytes.length) throw new Stop(FAULT.dmaHole, addr + BigInt(target.length));
  }

  /** As many of the bytes as are there, from the first on. */
  #bytesAt(vram: boolean, addr: bigint, len: bigint): Uint8Array {
    if (vram) return this.vram.subarray(Number(addr), Number(addr + len));
    for (const { base, bytes } of this.memory) {
      const offset = addr - base;
      if (offset >= 0n && offset < bytes.length) return bytes.subarray(Number(offset), Number(offset + len));
    }
    return new Uint8Array(0);
  }
}

/** The units in which `len` bytes of these sides move: none crosses the end of an entry. */
function* units(sides: readonly Side[], len: bigint): Generator<{ parts: bigint[]; unit: bigint; done: bigint }> {
  const places = sides.map(({ entries }) => ({ entries, index: 0, offset: 0n }));
  for (let done = 0n; done < len;) {
    let unit = len - done < UNIT ? len - done : UNIT;
    const parts: bigint[] = [];
    for (const { entries, index, offset } of places) {
      const entry = entries[index] ?? { addr: 0n, len: 0n };
      parts.push(entry.addr + offset);
      if (entry.len - offset < unit) unit = entry.len - offset;
    }
    yield { parts, unit, done };
    done += unit;
    for (const place of places) {
      place.offset += unit;
      if (place.offset === place.entries[place.index]?.len) {
        place.index++;
        place.offset = 0n;
      }
    }
  }
}

function littleEndian(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}
