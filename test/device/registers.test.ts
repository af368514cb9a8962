/** Every register: identity, reset value, access, misuse. */
import { readFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { FAULT } from '../../src/device/edgpu-command.ts';
import { edgpu, EDGPU_DEFINES, parseDefines } from '../../src/device/edgpu-constants.ts';
import { APERTURE_SIZE, test, VRAM_SIZE } from '../../src/device/edgpu-machine.ts';

const NOTHING = { 1: 0xffn, 2: 0xffffn, 4: 0xffff_ffffn, 8: 0xffff_ffff_ffff_ffffn } as const;

interface Register {
  readonly name: string;
  readonly size: 4 | 8;
  readonly reset: bigint;
  readonly access: 'ro' | 'rw' | 'rw1c' | 'wo';
}

const GLOBAL: readonly Register[] = [
  { name: 'ID', size: 4, access: 'ro', reset: BigInt(edgpu('ID')) },
  { name: 'VERSION', size: 4, access: 'ro', reset: BigInt(edgpu('VERSION')) },
  { name: 'ENGINES', size: 4, access: 'ro', reset: 2n },
  { name: 'DMA_BITS', size: 4, access: 'ro', reset: 40n },
  { name: 'VRAM_SIZE', size: 8, access: 'ro', reset: BigInt(VRAM_SIZE) },
  { name: 'APERTURE_SIZE', size: 8, access: 'ro', reset: BigInt(APERTURE_SIZE) },
  { name: 'VRAM_GENERATION', size: 4, access: 'ro', reset: 1n },
  { name: 'SCRATCH', size: 4, access: 'rw', reset: 0n },
  { name: 'IRQ_STATUS', size: 4, access: 'rw1c', reset: 0n },
  { name: 'IRQ_ENABLE', size: 4, access: 'rw', reset: 0n },
  { name: 'DISPLAYS', size: 4, access: 'ro', reset: 1n },
];

const ENGINE: readonly Register[] = [
  { name: 'RING_BASE', size: 8, access: 'rw', reset: 0n },
  { name: 'RING_SIZE', size: 4, access: 'rw', reset: 0n },
  { name: 'CONTROL', size: 4, access: 'wo', reset: 0n },
  { name: 'HEAD', size: 4, access: 'ro', reset: 0n },
  { name: 'TAIL', size: 4, access: 'rw', reset: 0n },
  { name: 'STATUS', size: 4, access: 'ro', reset: 0n },
  { name: 'FENCE', size: 8, access: 'ro', reset: 0n },
  { name: 'FAULT_KIND', size: 4, access: 'ro', reset: 0n },
  { name: 'FAULT_SLOT', size: 4, access: 'ro', reset: 0n },
  { name: 'FAULT_ADDR', size: 8, access: 'ro', reset: 0n },
  { name: 'FAULT_COUNT', size: 4, access: 'ro', reset: 0n },
];

const DISPLAY: readonly Register[] = [
  { name: 'CONTROL', size: 4, access: 'rw', reset: 0n },
  { name: 'WIDTH', size: 4, access: 'rw', reset: 0n },
  { name: 'HEIGHT', size: 4, access: 'rw', reset: 0n },
  { name: 'STRIDE', size: 4, access: 'rw', reset: 0n },
  { name: 'NENTS', size: 4, access: 'rw', reset: 0n },
  { name: 'FAULT_COUNT', size: 4, access: 'ro', reset: 0n },
  { name: 'BASE', size: 8, access: 'rw', reset: 0n },
  { name: 'FAULT_KIND', size: 4, access: 'ro', reset: 0n },
  { name: 'FAULT_ADDR', size: 8, access: 'ro', reset: 0n },
];

const WITH_DISPLAY = { device: 'display=on' };

const PLACED = [
  ...GLOBAL.map((register) => ({ ...register, offset: edgpu(`REG_${register.name}`) })),
  ...ENGINE.map((register) => ({ ...register, offset: edgpu('ENGINE_BASE') + edgpu(`ENG_${register.name}`) })),
  ...DISPLAY.map((register) => ({ ...register, offset: edgpu('DISPLAY_BASE') + edgpu(`DISP_${register.name}`) })),
];

describe('the header', () => {
  test('has every register that is tested here, and no other', () => {
    const names = [...EDGPU_DEFINES.keys()].filter((name) => /^EDGPU_(REG|ENG|DISP)_(?!ENABLE)/.test(name));
    const tested = [
      ...GLOBAL.map(({ name }) => `EDGPU_REG_${name}`),
      ...ENGINE.map(({ name }) => `EDGPU_ENG_${name}`),
      ...DISPLAY.map(({ name }) => `EDGPU_DISP_${name}`),
    ];
    expect(names.sort()).toEqual(tested.sort());
  });

  test('is read as a C compiler would', () => {
    expect([
      ...parseDefines('#define A 12\n#define B\t0x10ull\t/* x */\n#define C EDGPU_BIT(31)\n#define D(n) n\n'),
    ]).toEqual([
      ['A', 12],
      ['B', 16],
      ['C', 0x8000_0000],
    ]);
  });
});

describe('registers', () => {
  test('read their reset values, whole and in halves', async ({ startMachine }) => {
    const machine = await startMachine(WITH_DISPLAY);
    for (const { name, size, offset, reset } of PLACED) {
      expect(await machine.readRegsBar(offset, size), name).toBe(reset);
      if (size === 8) {
        expect(await machine.readRegsBar(offset, 4), name).toBe(reset & 0xffff_ffffn);
        expect(await machine.readRegsBar(offset + 4, 4), name).toBe(reset >> 32n);
      }
    }
  });

  test('that are read-only ignore writes', async ({ startMachine }) => {
    const machine = await startMachine(WITH_DISPLAY);
    for (const { offset, size, reset, name } of PLACED.filter(({ access }) => access === 'ro')) {
      await machine.writeRegsBar(offset, size, NOTHING[size]);
      expect(await machine.readRegsBar(offset, size), name).toBe(reset);
    }
  });

  test('answer an access of another size or alignment with all ones, and ignore such a write', async ({
    startMachine,
  }) => {
    const machine = await startMachine(WITH_DISPLAY);
    await machine.writeRegister('SCRATCH', 0x1234_5678n);
    for (const { offset, size, name } of PLACED) {
      expect(await machine.readRegsBar(offset, 1), name).toBe(NOTHING[1]);
      expect(await machine.readRegsBar(offset, 2), name).toBe(NOTHING[2]);
      expect(await machine.readRegsBar(offset + 2, 4), name).toBe(NOTHING[4]);
      if (size === 4) expect(await machine.readRegsBar(offset, 8), name).toBe(NOTHING[8]);
      await machine.writeRegsBar(offset, 1, 0xeen);
      await machine.writeRegsBar(offset, 2, 0xeeeen);
      await machine.writeRegsBar(offset + 2, 4, 0xeeee_eeeen);
      if (size === 4) await machine.writeRegsBar(offset, 8, 0xeeee_eeee_eeee_eeeen);
    }
    expect(await machine.readRegister('SCRATCH')).toBe(0x1234_5678n);
    expect(await machine.readEngine(0, 'RING_BASE', 8)).toBe(0n);
    expect(await machine.readEngine(0, 'STATUS')).toBe(0n);
  });

  test('holes and absent engines read all ones and ignore writes', async ({ startMachine }) => {
    const machine = await startMachine(WITH_DISPLAY);
    const engineEnd = edgpu('ENGINE_BASE') + 2 * edgpu('ENGINE_STRIDE');
    for (const offset of [
      0x34,
      0xff0,
      edgpu('ENGINE_BASE') + 0x1c,
      edgpu('ENGINE_BASE') + 0x3c,
      engineEnd,
      0x1ff8,
      0x2024,
      0xfff8,
    ]) {
      await machine.writeRegsBar(offset, 4, 0n);
      expect(await machine.readRegsBar(offset, 4), offset.toString(16)).toBe(NOTHING[4]);
      expect(await machine.readRegsBar(offset & ~7, 8), offset.toString(16)).toBe(NOTHING[8]);
    }
  });

  test('SCRATCH keeps what is written', async ({ startMachine }) => {
    const machine = await startMachine();
    for (const value of [0n, 0xdead_beefn, 0xffff_ffffn]) {
      await machine.writeRegister('SCRATCH', value);
      expect(await machine.readRegister('SCRATCH')).toBe(value);
    }
  });

  test('IRQ_ENABLE has bits for the engines that exist', async ({ startMachine }) => {
    const machine = await startMachine({ device: 'engines=3' });
    await machine.writeRegister('IRQ_ENABLE', 0xffff_ffffn);
    expect(await machine.readRegister('IRQ_ENABLE')).toBe(0x0007_0007n);
  });

  test('RING_BASE is 64-byte aligned and written whole or in halves', async ({ startMachine }) => {
    const machine = await startMachine();
    await machine.writeEngine(1, 'RING_BASE', 0x1234_5678_9abc_deffn, 8);
    expect(await machine.readEngine(1, 'RING_BASE', 8)).toBe(0x1234_5678_9abc_dec0n);
    await machine.writeEngine(1, 'RING_BASE', 0x40n);
    expect(await machine.readEngine(1, 'RING_BASE', 8)).toBe(0x1234_5678_0000_0040n);
    expect(await machine.readEngine(0, 'RING_BASE', 8)).toBe(0n);
  });

  test('RING_SIZE takes powers of two up to the maximum; anything else turns the ring off', async ({
    startMachine,
  }) => {
    const machine = await startMachine();
    for (const slots of [1, 2, 64, edgpu('MAX_SLOTS')]) {
      await machine.writeEngine(0, 'RING_SIZE', BigInt(slots));
      expect(await machine.readEngine(0, 'RING_SIZE')).toBe(BigInt(slots));
    }
    for (const slots of [3, 63, 65, edgpu('MAX_SLOTS') + 1, edgpu('MAX_SLOTS') * 2, 0xffff_ffff]) {
      await machine.writeEngine(0, 'RING_SIZE', 64n);
      await machine.writeEngine(0, 'RING_SIZE', BigInt(slots));
      expect(await machine.readEngine(0, 'RING_SIZE'), String(slots)).toBe(0n);
    }
  });

  test('RING_SIZE 0 turns the ring off, and only another value that is no size is a guest error', async ({
    startMachine,
    folder,
  }) => {
    const log = `${folder}/guest-errors`;
    const machine = await startMachine({ extra: ['-d', 'guest_errors', '-D', log] });
    for (const slots of [64n, 0n]) await machine.writeEngine(0, 'RING_SIZE', slots);
    expect(await machine.readEngine(0, 'RING_SIZE')).toBe(0n);
    // There is no slot that a TAIL could be at.
    await machine.writeEngine(0, 'TAIL', 0n);
    expect(await machine.fault(0)).toEqual({ kind: FAULT.ringOverrun, slot: 0, address: 0n });
    await machine.writeEngine(1, 'RING_SIZE', 3n);
    await machine.end();
    expect((await readFile(log, 'utf8')).match(/a ring can't have \d+ slots/g)).toEqual(["a ring can't have 3 slots"]);
  });

  test('the ring cannot be moved while the engine is busy or faulted', async ({ machine }) => {
    const base = await machine.readEngine(0, 'RING_BASE', 8);
    const attempt = async () => {
      await machine.writeEngine(0, 'RING_BASE', 0x8000n, 8);
      await machine.writeEngine(0, 'RING_SIZE', 8n);
      expect(await machine.readEngine(0, 'RING_BASE', 8)).toBe(base);
      expect(await machine.readEngine(0, 'RING_SIZE')).toBe(64n);
    };
    await machine.submit(0, [{ opcode: edgpu('OP_NOP') }]);
    await attempt();
    await machine.drain();
    await machine.writeEngine(0, 'TAIL', 64n);
    await attempt();
  });
});
