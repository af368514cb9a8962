/** Ring slots as a guest that means harm would fill them: from nearly right to noise. */
import fc from 'fast-check';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import { encodeCommand, encodeScatterList, FLAG, OP } from '../../src/device/edgpu-command.ts';
import { DATA, DATA_END, ringBase, VRAM_SIZE } from '../../src/device/edgpu-machine.ts';

export interface HostileSlot {
  readonly bytes: Uint8Array;
  /** What the guest puts into memory for it. */
  readonly lists: readonly { readonly address: bigint; readonly bytes: Uint8Array }[];
}

export const interesting = fc.oneof(
  fc.constantFrom(
    0n,
    ringBase(0),
    DATA,
    DATA_END - 1n,
    DATA_END,
    BigInt(VRAM_SIZE),
    BigInt(VRAM_SIZE) - 1n,
    // BAR 2, BAR 0 and the interrupt window: DMA to itself, and to what is no memory.
    0xd000_0000n,
    0xe000_0000n,
    0xfee0_0000n,
    1n << 40n,
    (1n << 40n) - 1n,
    1n << 63n,
    (1n << 64n) - 1n,
  ),
  fc.bigInt({ min: 0n, max: DATA_END }),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
);

const LISTS = [DATA, DATA + 0x10_0000n] as const;
const small = fc.bigInt({ min: 1n, max: 200_000n });
/** Where most accesses are allowed, in memory and in VRAM; its own rings, lists and aperture are among them. */
const allowed = fc.oneof(
  fc.bigInt({ min: 0x10_0000n, max: BigInt(VRAM_SIZE) - 1n }),
  fc.bigInt({ min: 0x10_0000n, max: 0x30_0000n }),
  fc.bigInt({ min: 0xd000_0000n, max: 0xd040_0000n }),
);
const place = fc.oneof({ weight: 6, arbitrary: allowed }, { weight: 1, arbitrary: interesting });

interface Operand {
  readonly address: bigint;
  readonly flags: number;
  readonly entries: number;
  readonly lists: HostileSlot['lists'];
}

/** `len` bytes in one run or scattered, in memory or in VRAM; most of them where it says. */
function operand(len: bigint, side: 'src' | 'dst'): fc.Arbitrary<Operand> {
  const [vramFlag, sgFlag] = side === 'src' ? [FLAG.srcVram, FLAG.srcSg] : [FLAG.dstVram, FLAG.dstSg];
  const list = LISTS[side === 'src' ? 0 : 1];
  const linear = fc.record({ vram: fc.boolean(), address: place }).map(({ vram, address }) => ({
    address,
    flags: vram ? vramFlag : 0,
    entries: 0,
    lists: [],
  }));
  const scattered = fc
    .record({ vram: fc.boolean(), places: fc.array(place, { minLength: 1, maxLength: 40 }), slip: fc.nat(30) })
    .map(({ vram, places, slip }) => {
      const each = len / BigInt(places.length) || 1n;
      const last = len - each * BigInt(places.length - 1) + (slip === 0 ? 1n : 0n);
      const bytes = encodeScatterList(
        places.map((addr, i) => ({ addr, len: BigInt.asUintN(64, i === places.length - 1 ? last : each) })),
      );
      return {
        address: list,
        flags: sgFlag | (vram ? vramFlag : 0),
        entries: places.length,
        lists: [{ address: list, bytes }],
      };
    });
  return fc.oneof({ weight: 3, arbitrary: linear }, { weight: 2, arbitrary: scattered });
}

const nothing: fc.Arbitrary<Operand> = fc.constant({ address: 0n, flags: 0, entries: 0, lists: [] });

/** A command that an engine accepts, mostly. */
const command: fc.Arbitrary<HostileSlot> = fc
  .tuple(fc.constantFrom(...Object.values(OP)), small, fc.subarray([FLAG.irq, FLAG.writeback]), interesting)
  .chain(([opcode, some, fenceFlags, value]) => {
    const len = opcode === OP.copy || opcode === OP.checksum ? some : opcode === OP.fill ? some * 8n : 0n;
    const reads = opcode === OP.copy || opcode === OP.checksum;
    const scatters = opcode === OP.copy || opcode === OP.fill;
    const target = fc.record({ vram: fc.boolean(), address: place }).map(({ vram, address }) => ({
      ...{ address, entries: 0, lists: [] },
      flags: vram && opcode !== OP.nop ? FLAG.dstVram : 0,
    }));
    return fc
      .tuple(reads ? operand(len, 'src') : nothing, scatters ? operand(len, 'dst') : target)
      .map(([src, dst]) => ({
        lists: [...src.lists, ...dst.lists],
        bytes: encodeCommand({
          ...{ opcode, len, value, src: src.address, dst: dst.address },
          flags: src.flags | dst.flags | (opcode === OP.fence ? fenceFlags.reduce((all, one) => all | one, 0) : 0),
          srcEntries: src.entries,
          dstEntries: dst.entries,
        }),
      }));
  });

const length = fc.oneof(
  fc.constantFrom(0n, 1n, 8n, 4096n, BigInt(VRAM_SIZE), BigInt(edgpu('MAX_LEN')), (1n << 64n) - 1n),
  fc.bigInt({ min: 0n, max: 1n << 21n }),
  interesting,
);
const entries = fc.oneof(fc.constantFrom(0, 1, 2, edgpu('MAX_SG_ENTRIES'), 0xffff_ffff), fc.nat(100));

/** Fields that are each likely to be legal, but seldom all of them. */
const mixture: fc.Arbitrary<HostileSlot> = fc
  .record({
    opcode: fc.oneof({ weight: 9, arbitrary: fc.nat(edgpu('OPS')) }, { weight: 1, arbitrary: fc.nat(0xffff_ffff) }),
    flags: fc.oneof({ weight: 9, arbitrary: fc.nat(0x3f) }, { weight: 1, arbitrary: fc.nat(0xffff_ffff) }),
    src: interesting,
    dst: interesting,
    len: length,
    srcEntries: fc.oneof(fc.constant(0), entries),
    dstEntries: fc.oneof(fc.constant(0), entries),
    value: interesting,
    reserved: fc.oneof(
      { weight: 9, arbitrary: fc.constant([0n, 0n] as const) },
      { weight: 1, arbitrary: fc.tuple(interesting, interesting) },
    ),
  })
  .map((fields) => ({ bytes: encodeCommand(fields), lists: [] }));

const noise: fc.Arbitrary<HostileSlot> = fc
  .uint8Array({ minLength: edgpu('CMD_SIZE'), maxLength: edgpu('CMD_SIZE') })
  .map((bytes) => ({ bytes, lists: [] }));

export const hostileSlot = fc.oneof(
  { weight: 12, arbitrary: command },
  { weight: 2, arbitrary: mixture },
  { weight: 1, arbitrary: noise },
);
