/** What the commands do when nothing is wrong with them. */
import { describe, expect } from 'vitest';
import xxhash from 'xxhash-wasm';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import { encodeScatterList, FAULT, FLAG, OP, pattern, type ScatterEntry } from '../../src/device/edgpu-command.ts';
import { APERTURE_SIZE, DATA, RAM, test, VRAM_SIZE, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';

const MIB = 1 << 20;
const LIST = DATA;
const SOURCE = DATA + BigInt(2 * MIB);
const TARGET = DATA + BigInt(16 * MIB);
const xxh = await xxhash();
const xxh64 = (bytes: Uint8Array, seed?: bigint) => xxh.h64Raw(bytes, seed);

function expectBytes(actual: Uint8Array, expected: Uint8Array): void {
  // Buffer.compare: expect() on megabytes is slow, and its diff of no use.
  expect(Buffer.compare(actual, expected)).toBe(0);
}

async function expectNoFault(machine: EdgpuMachine): Promise<void> {
  expect(await machine.fault(0)).toEqual({ kind: FAULT.none, slot: 0, address: 0n });
}

/** Cuts `length` bytes at `base` into entries of odd sizes, stored in a shuffled order of places. */
function scatter(base: bigint, length: number, pieces: number): ScatterEntry[] {
  const size = Math.floor(length / pieces);
  return Array.from({ length: pieces }, (_, i) => ({
    addr: base + BigInt(((i * 7) % pieces) * (size + pieces)),
    len: BigInt(i === pieces - 1 ? length - size * (pieces - 1) : size),
  }));
}

async function writeScattered(machine: EdgpuMachine, entries: readonly ScatterEntry[], bytes: Uint8Array) {
  let offset = 0;
  for (const { addr, len } of entries) {
    await machine.qtest.writeBytes(addr, bytes.subarray(offset, offset + Number(len)));
    offset += Number(len);
  }
}

async function readScattered(machine: EdgpuMachine, entries: readonly ScatterEntry[]): Promise<Uint8Array> {
  const parts = await Promise.all(entries.map(({ addr, len }) => machine.qtest.readBytes(addr, Number(len))));
  return Buffer.concat(parts);
}

describe('copy', () => {
  test.for([1, 7, 64, 4096, 65_537, 3 * MIB + 11])(
    '%i bytes to VRAM, within it, and back',
    async (length, { machine }) => {
      const bytes = pattern(length);
      await machine.qtest.writeBytes(SOURCE, bytes);
      const len = BigInt(length);
      const [near, far] = [3n, BigInt(APERTURE_SIZE + 5)];
      await machine.run(0, [
        { opcode: OP.copy, flags: FLAG.dstVram, src: SOURCE, dst: near, len },
        { opcode: OP.copy, flags: FLAG.srcVram | FLAG.dstVram, src: near, dst: far, len },
        { opcode: OP.copy, flags: FLAG.srcVram, src: far, dst: TARGET + 1n, len },
      ]);
      await expectNoFault(machine);
      expectBytes(await machine.readVram(3, length), bytes);
      expectBytes(await machine.qtest.readBytes(TARGET + 1n, length), bytes);
    },
  );

  test('from 1 TiB to 256 TiB', async ({ startMachine }) => {
    const machine = await startMachine({ device: 'dma-bits=49' });
    await machine.setUpRing(0);
    const bytes = pattern(100_000);
    await machine.qtest.writeBytes(RAM.oneTiB.base, bytes);
    await machine.run(0, [{ opcode: OP.copy, src: RAM.oneTiB.base, dst: RAM.top.base, len: 100_000n }]);
    await expectNoFault(machine);
    expectBytes(await machine.qtest.readBytes(RAM.top.base, 100_000), bytes);
  });

  test.for([
    { distance: 1, vram: false },
    { distance: -1, vram: false },
    { distance: 70_000, vram: false },
    { distance: -70_000, vram: false },
    { distance: 1, vram: true },
    { distance: -1, vram: true },
    { distance: 70_000, vram: true },
    { distance: -70_000, vram: true },
  ])('onto itself, $distance bytes along (VRAM: $vram), is a memmove', async ({ distance, vram }, { machine }) => {
    const length = 200_000;
    const bytes = pattern(2 * length);
    const base = vram ? 0n : SOURCE;
    const from = length / 2;
    await (vram ? machine.writeVram(0, bytes) : machine.qtest.writeBytes(SOURCE, bytes));
    await machine.run(0, [
      {
        opcode: OP.copy,
        flags: vram ? FLAG.srcVram | FLAG.dstVram : 0,
        src: base + BigInt(from),
        dst: base + BigInt(from + distance),
        len: BigInt(length),
      },
    ]);
    bytes.copyWithin(from + distance, from, from + length);
    expectBytes(
      vram ? await machine.readVram(0, bytes.length) : await machine.qtest.readBytes(base, bytes.length),
      bytes,
    );
  });

  test('by scatter lists on both sides, cut differently', async ({ machine }) => {
    const length = 300_001;
    const bytes = pattern(length);
    const source = scatter(SOURCE, length, 13);
    const target = scatter(TARGET, length, 8);
    await writeScattered(machine, source, bytes);
    await machine.qtest.writeBytes(LIST, encodeScatterList(source));
    await machine.qtest.writeBytes(LIST + 0x1000n, encodeScatterList(target));
    await machine.run(0, [
      {
        opcode: OP.copy,
        flags: FLAG.srcSg | FLAG.dstSg,
        src: LIST,
        dst: LIST + 0x1000n,
        len: BigInt(length),
        srcEntries: source.length,
        dstEntries: target.length,
      },
    ]);
    await expectNoFault(machine);
    expectBytes(await readScattered(machine, target), bytes);
  });

  test('from a scatter list of VRAM offsets', async ({ machine }) => {
    const bytes = pattern(8192);
    await machine.writeVram(0, bytes);
    await machine.qtest.writeBytes(LIST, encodeScatterList([4096n, 0n].map((addr) => ({ addr, len: 4096n }))));
    await machine.run(0, [
      { opcode: OP.copy, flags: FLAG.srcSg | FLAG.srcVram, src: LIST, srcEntries: 2, dst: TARGET, len: 8192n },
    ]);
    expectBytes(
      await machine.qtest.readBytes(TARGET, 8192),
      Buffer.concat([bytes.subarray(4096), bytes.subarray(0, 4096)]),
    );
  });

  test('by the longest scatter list', async ({ machine }) => {
    const count = edgpu('MAX_SG_ENTRIES');
    const bytes = pattern(count);
    await machine.qtest.writeBytes(SOURCE, bytes);
    const backwards = Array.from({ length: count }, (_, i) => ({ addr: SOURCE + BigInt(count - 1 - i), len: 1n }));
    await machine.qtest.writeBytes(LIST, encodeScatterList(backwards));
    await machine.run(0, [
      { opcode: OP.copy, flags: FLAG.srcSg, src: LIST, srcEntries: count, dst: TARGET, len: BigInt(count) },
    ]);
    await expectNoFault(machine);
    expectBytes(await machine.qtest.readBytes(TARGET, count), bytes.reverse());
  });

  test('through its own BAR reaches VRAM as any memory', async ({ machine }) => {
    const bytes = pattern(100_000);
    await machine.writeVram(0, bytes);
    // The function's own aperture is where edgpu-machine.ts placed BAR 2.
    await machine.run(0, [{ opcode: OP.copy, flags: FLAG.dstVram, src: 0xd000_0000n, dst: 50_000n, len: 50_000n }]);
    await expectNoFault(machine);
    expectBytes(await machine.readVram(50_000, 50_000), bytes.subarray(0, 50_000));
  });
});

describe('fill', () => {
  test('repeats the value, little-endian, in VRAM and in memory', async ({ machine }) => {
    const value = 0x0123_4567_89ab_cdefn;
    await machine.run(0, [
      { opcode: OP.fill, flags: FLAG.dstVram, dst: 5n, len: 72n, value },
      { opcode: OP.fill, dst: TARGET + 3n, len: BigInt(2 * MIB), value },
    ]);
    const expected = Buffer.alloc(2 * MIB, Buffer.from('efcdab8967452301', 'hex'));
    expectBytes(await machine.readVram(5, 72), expected.subarray(0, 72));
    expectBytes(await machine.readVram(77, 8), new Uint8Array(8));
    expectBytes(await machine.qtest.readBytes(TARGET + 3n, 2 * MIB), expected);
  });

  test('goes on with the value from one scatter entry to the next', async ({ machine }) => {
    const entries = [
      { addr: TARGET, len: 3n },
      { addr: TARGET + 0x1000n, len: 6n },
      { addr: TARGET + 0x2000n, len: 7n },
    ];
    await machine.qtest.writeBytes(LIST, encodeScatterList(entries));
    await machine.run(0, [
      { opcode: OP.fill, flags: FLAG.dstSg, dst: LIST, dstEntries: 3, len: 16n, value: 0x0807_0605_0403_0201n },
    ]);
    expect([...(await readScattered(machine, entries))]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
  });
});

describe('checksum', () => {
  test.for([1, 3, 4, 8, 31, 32, 33, 100, 65_536, 65_567, 2 * MIB + 29])(
    'of %i bytes is XXH64',
    async (length, { machine }) => {
      const bytes = pattern(length);
      const seed = 0xfeed_0000_0000_0001n;
      await machine.qtest.writeBytes(SOURCE, bytes);
      await machine.writeVram(MIB, bytes);
      await machine.run(0, [
        { opcode: OP.checksum, src: SOURCE, dst: TARGET, len: BigInt(length), value: seed },
        {
          opcode: OP.checksum,
          flags: FLAG.srcVram | FLAG.dstVram,
          src: BigInt(MIB),
          dst: 0n,
          len: BigInt(length),
        },
      ]);
      expect(await machine.qtest.read(TARGET, 8)).toBe(xxh64(bytes, seed));
      expect(Buffer.from(await machine.readVram(0, 8)).readBigUInt64LE()).toBe(xxh64(bytes));
    },
  );

  test('of a scatter list is that of the bytes in its order', async ({ machine }) => {
    const bytes = pattern(200_003);
    const entries = scatter(SOURCE, bytes.length, 11);
    await writeScattered(machine, entries, bytes);
    await machine.qtest.writeBytes(LIST, encodeScatterList(entries));
    await machine.run(0, [
      { opcode: OP.checksum, flags: FLAG.srcSg, src: LIST, srcEntries: 11, dst: TARGET, len: BigInt(bytes.length) },
    ]);
    expect(await machine.qtest.read(TARGET, 8)).toBe(xxh64(bytes));
  });
});

describe('fence', () => {
  test('sets the register, and memory or VRAM only if asked', async ({ machine }) => {
    await machine.qtest.write(TARGET, 8, 1n);
    await machine.run(0, [{ opcode: OP.fence, dst: TARGET, value: 0x1_0000_0001n }]);
    expect(await machine.readEngine(0, 'FENCE', 8)).toBe(0x1_0000_0001n);
    expect(await machine.readEngine(1, 'FENCE', 8)).toBe(0n);
    expect(await machine.qtest.read(TARGET, 8)).toBe(1n);

    await machine.run(0, [
      { opcode: OP.fence, flags: FLAG.writeback, dst: TARGET, value: 7n },
      { opcode: OP.fence, flags: FLAG.writeback | FLAG.dstVram, dst: 8n, value: 9n },
    ]);
    expect(await machine.qtest.read(TARGET, 8)).toBe(7n);
    expect((await machine.readVram(8, 1))[0]).toBe(9);
  });

  test('comes after all that was submitted before it', async ({ machine }) => {
    await machine.submit(0, [
      { opcode: OP.fill, flags: FLAG.dstVram, dst: 0n, len: BigInt(VRAM_SIZE), value: 5n },
      { opcode: OP.fence, value: 1n },
    ]);
    let slices = 0;
    while (await machine.isBusy(0)) {
      expect(await machine.readEngine(0, 'FENCE', 8)).toBe(0n);
      await machine.qtest.stepClock();
      slices++;
    }
    expect(await machine.readEngine(0, 'FENCE', 8)).toBe(1n);
    expect((await machine.readVram(APERTURE_SIZE - 8, 1))[0]).toBe(5);
    // 1 MiB at a time: the VM gets a turn in between.
    expect(slices).toBeGreaterThanOrEqual(VRAM_SIZE / MIB);
  });
});

test('addresses and values that an opcode does not use are ignored', async ({ machine }) => {
  const unused = (1n << 64n) - 1n;
  await machine.qtest.writeBytes(SOURCE, pattern(64));
  await machine.run(0, [
    { opcode: OP.nop, src: unused, dst: unused, value: unused },
    { opcode: OP.copy, src: SOURCE, dst: TARGET, len: 64n, value: unused },
    { opcode: OP.fill, src: unused, dst: TARGET, len: 8n, value: 5n },
    { opcode: OP.fence, src: unused, dst: unused, value: 3n },
  ]);
  await expectNoFault(machine);
  expect(await machine.readEngine(0, 'FENCE', 8)).toBe(3n);
  expect(await machine.qtest.read(TARGET, 8)).toBe(5n);
  expectBytes(await machine.qtest.readBytes(TARGET + 8n, 56), pattern(64).subarray(8));
});

describe('rings', () => {
  test('go round many times', async ({ machine }) => {
    await machine.setUpRing(0, 4);
    for (let i = 1n; i <= 20n; i++) {
      await machine.run(0, [{ opcode: OP.nop }, { opcode: OP.fence, value: i }]);
      expect(await machine.readEngine(0, 'FENCE', 8)).toBe(i);
    }
    expect(await machine.readEngine(0, 'HEAD')).toBe(0n);
    await expectNoFault(machine);
  });

  test('of several engines run side by side', async ({ startMachine }) => {
    const machine = await startMachine({ device: 'engines=4' });
    for (let engine = 0; engine < 4; engine++) {
      await machine.setUpRing(engine);
      await machine.submit(engine, [
        { opcode: OP.fill, dst: TARGET + BigInt(engine * 4 * MIB), len: BigInt(4 * MIB), value: BigInt(engine) },
        { opcode: OP.fence, value: BigInt(engine + 1) },
      ]);
    }
    await machine.qtest.stepClock();
    for (let engine = 0; engine < 4; engine++) expect(await machine.isBusy(engine)).toBe(true);
    await machine.drain();
    for (let engine = 0; engine < 4; engine++) {
      expect(await machine.readEngine(engine, 'FENCE', 8)).toBe(BigInt(engine + 1));
      expect(await machine.qtest.read(TARGET + BigInt((engine + 1) * 4 * MIB - 8), 8)).toBe(BigInt(engine));
    }
  });

  test('reset forgets the ring and the work in it, but not VRAM and fence', async ({ machine }) => {
    await machine.writeVram(0, pattern(64));
    await machine.run(0, [{ opcode: OP.fence, value: 3n }]);
    await machine.submit(0, [
      { opcode: OP.fill, dst: TARGET, len: BigInt(8 * MIB), value: 1n },
      { opcode: OP.fence, value: 4n },
    ]);
    await machine.qtest.stepClock();
    await machine.writeEngine(0, 'CONTROL', BigInt(edgpu('CONTROL_RESET')));
    await machine.qtest.stepClock(1_000_000);
    for (const name of ['RING_SIZE', 'HEAD', 'TAIL', 'STATUS'])
      expect(await machine.readEngine(0, name), name).toBe(0n);
    expect(await machine.readEngine(0, 'RING_BASE', 8)).toBe(0n);
    expect(await machine.readEngine(0, 'FENCE', 8)).toBe(3n);
    expectBytes(await machine.readVram(0, 64), pattern(64));

    await machine.setUpRing(0);
    await machine.run(0, [{ opcode: OP.fence, value: 5n }]);
    expect(await machine.readEngine(0, 'FENCE', 8)).toBe(5n);
  });
});
