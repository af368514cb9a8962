/** Random commands, most of them good, against the model: memory, VRAM, fence and fault must come out the same. */
import fc from 'fast-check';
import { expect } from 'vitest';
import xxhash from 'xxhash-wasm';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import {
  encodeScatterList,
  FLAG,
  OP,
  pattern,
  type Command,
  type ScatterEntry,
} from '../../src/device/edgpu-command.ts';
import { EdgpuModel, type Program } from './edgpu-model.ts';
import { DATA, DATA_END, RAM, test, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';
import { propertyRuns, propertyTimeoutMs, tellVolume } from './property-runs.ts';

const VRAM = 1 << 20;
const WINDOW = 256 << 10;
const MAX_LENGTH = 150_000;
const DMA_BITS = 41;

/** The end of low memory, with a hole behind it, and the start of high memory, with a hole before it. */
const WINDOWS = [DATA_END - BigInt(WINDOW), RAM.oneTiB.base];
const SRC_LIST = DATA;
const DST_LIST = DATA + 0x1000n;

const length = fc.oneof(
  fc.constantFrom(1, 7, 8, 64, 4096, 65_536, 65_537),
  fc.integer({ min: 1, max: 5000 }),
  fc.integer({ min: 1, max: MAX_LENGTH }),
);

/** Inside of a range, or now and then where it begins or ends. */
function placeIn(base: bigint, size: number, len: number): fc.Arbitrary<bigint> {
  const inside = fc.integer({ min: 0, max: Math.max(0, size - len) }).map((offset) => base + BigInt(offset));
  const nearEnd = fc.integer({ min: 1, max: len + 8 }).map((back) => base + BigInt(size - back));
  return fc.oneof({ weight: 12, arbitrary: inside }, { weight: 1, arbitrary: nearEnd });
}

function memoryPlace(len: number): fc.Arbitrary<bigint> {
  const [low = 0n, high = 0n] = WINDOWS;
  return fc.oneof(
    { weight: 10, arbitrary: placeIn(low, WINDOW, len) },
    // Behind this window there is more memory, which the model doesn't have.
    { weight: 10, arbitrary: fc.integer({ min: 0, max: WINDOW - len }).map((offset) => high + BigInt(offset)) },
    { weight: 1, arbitrary: fc.integer({ min: len, max: len + 100 }).map((back) => high - BigInt(back)) },
    { weight: 1, arbitrary: fc.constantFrom(1n << 41n, (1n << 41n) - BigInt(len) + 1n, 1n << 48n, (1n << 64n) - 1n) },
  );
}

interface Operand {
  readonly addr: bigint;
  readonly vram: boolean;
  readonly list?: ScatterEntry[];
}

function linearOperand(len: number): fc.Arbitrary<Operand> {
  return fc
    .boolean()
    .chain((vram) => (vram ? placeIn(0n, VRAM, len) : memoryPlace(len)).map((addr) => ({ addr, vram })));
}

/** Lengths that add up to `len`, seldom off by one. */
function cuts(len: number): fc.Arbitrary<number[]> {
  const inner = fc.uniqueArray(fc.integer({ min: 1, max: Math.max(1, len - 1) }), { maxLength: 6 });
  return fc.tuple(inner, fc.nat(40)).map(([points, luck]) => {
    const ends = [...points.filter((point) => point < len).sort((a, b) => a - b), len + (luck === 0 ? 1 : 0)];
    return ends.map((end, i) => end - (ends[i - 1] ?? 0));
  });
}

function scatteredOperand(len: number, addr: bigint): fc.Arbitrary<Operand> {
  return fc.tuple(fc.boolean(), cuts(len)).chain(([vram, lens]) =>
    fc.tuple(...lens.map((size) => (vram ? placeIn(0n, VRAM, size) : memoryPlace(size)))).map((places) => ({
      addr,
      vram,
      list: places.map((place, i) => ({ addr: place, len: BigInt(lens[i] ?? 0) })),
    })),
  );
}

function operand(len: number, list: bigint): fc.Arbitrary<Operand> {
  return fc.oneof({ weight: 3, arbitrary: linearOperand(len) }, { weight: 1, arbitrary: scatteredOperand(len, list) });
}

function program(fields: Omit<Command, 'src' | 'dst'>, src: Operand | undefined, dst: Operand | undefined): Program {
  const flags =
    (fields.flags ?? 0) |
    (src?.vram ? FLAG.srcVram : 0) |
    (dst?.vram ? FLAG.dstVram : 0) |
    (src?.list ? FLAG.srcSg : 0) |
    (dst?.list ? FLAG.dstSg : 0);
  return {
    command: {
      ...fields,
      flags,
      ...(src ? { src: src.addr, srcEntries: src.list?.length ?? 0 } : {}),
      ...(dst ? { dst: dst.addr, dstEntries: dst.list?.length ?? 0 } : {}),
    },
    ...(src?.list ? { srcList: src.list } : {}),
    ...(dst?.list ? { dstList: dst.list } : {}),
  };
}

const value = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

const copyProgram = length.chain((len) =>
  fc
    .tuple(operand(len, SRC_LIST), operand(len, DST_LIST))
    .map(([src, dst]) => program({ opcode: OP.copy, len: BigInt(len) }, src, dst)),
);
const fillProgram = length.chain((some) => {
  const len = Math.ceil(some / 8) * 8;
  return fc
    .tuple(operand(len, DST_LIST), value)
    .map(([dst, fill]) => program({ opcode: OP.fill, len: BigInt(len), value: fill }, undefined, dst));
});
const checksumProgram = length.chain((len) =>
  fc
    .tuple(operand(len, SRC_LIST), linearOperand(8), value)
    .map(([src, dst, seed]) => program({ opcode: OP.checksum, len: BigInt(len), value: seed }, src, dst)),
);
const fenceProgram = fc
  .tuple(linearOperand(8), value, fc.boolean())
  .map(([dst, fence, writesBack]) =>
    program({ opcode: OP.fence, flags: writesBack ? FLAG.writeback : 0, value: fence }, undefined, dst),
  );

const anyProgram = fc.oneof(
  { weight: 4, arbitrary: copyProgram },
  { weight: 2, arbitrary: fillProgram },
  { weight: 2, arbitrary: checksumProgram },
  { weight: 1, arbitrary: fenceProgram },
);

async function runOnDevice(machine: EdgpuMachine, { command, srcList, dstList }: Program): Promise<void> {
  if (srcList) await machine.qtest.writeBytes(SRC_LIST, encodeScatterList(srcList));
  if (dstList) await machine.qtest.writeBytes(DST_LIST, encodeScatterList(dstList));
  await machine.run(0, [command]);
}

function expectBytes(what: string, actual: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(actual, expected) === 0) return;
  const at = expected.findIndex((byte, i) => actual[i] !== byte);
  throw new Error(`${what} differs from offset ${at} on: ${actual[at]} instead of ${expected[at]}`);
}

test('random commands do what the model does', { timeout: propertyTimeoutMs() }, async ({ startMachine }) => {
  const hash = await xxhash();
  const machine = await startMachine({ device: `dma-bits=${DMA_BITS},vram-size=${VRAM}` });
  const { numRuns, ...parameters } = propertyRuns(60);
  let faults = 0;
  let commands = 0;

  const property = fc.asyncProperty(fc.array(anyProgram, { minLength: 1, maxLength: 12 }), async (programs) => {
    const memory = WINDOWS.map((base, i) => ({ base, bytes: pattern(WINDOW, i + 1) }));
    const model = new EdgpuModel(VRAM, memory, DMA_BITS, hash);
    model.vram.set(pattern(VRAM, 3));
    for (const { base, bytes } of memory) await machine.qtest.writeBytes(base, bytes);
    await machine.writeVram(0, model.vram);
    await machine.setUpRing(0);
    model.fence = await machine.readEngine(0, 'FENCE', 8);

    for (const one of programs) {
      commands++;
      const expected = model.run(one);
      await runOnDevice(machine, one);
      const { kind, address } = await machine.fault(0);
      expect({ kind, address }).toEqual(expected ?? { kind: edgpu('FAULT_NONE'), address: 0n });
      if (expected) {
        faults++;
        await machine.setUpRing(0);
      }
    }
    expect(await machine.readEngine(0, 'FENCE', 8)).toBe(model.fence);
    expectBytes('VRAM', await machine.readVram(0, VRAM), model.vram);
    for (const { base, bytes } of memory) {
      expectBytes(`memory at ${base.toString(16)}`, await machine.qtest.readBytes(base, WINDOW), bytes);
    }
  });
  await fc.assert(property, { numRuns, ...parameters });
  tellVolume({ runs: numRuns, commands, faults });
  // The generator must reach both: all good, or all bad, would prove little.
  expect(faults).toBeGreaterThan(commands / 100);
  expect(faults).toBeLessThan(commands / 2);
});
