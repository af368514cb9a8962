/** Failures on demand: each happens when it was asked to, once, to whom it was asked to, and to no other. */
import { describe, expect } from 'vitest';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import { FAULT, FLAG, OP, pattern } from '../../src/device/edgpu-command.ts';
import type { EdgpuFailure } from '../../src/device/edgpu-monitor.ts';
import { DATA, test, VRAM_SIZE, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';
import { watchMigration } from './streams.ts';

const MSIX = 0x11;
const PCIE = 0x10;
const ENGINES = [0, 1] as const;
const MIB = 1n << 20n;
const HOUR_NS = 3600e9;
/** Failures that can be pending. */
const MOST = 32;

const fence = (value: bigint, flags = 0) => ({ opcode: OP.fence, value, flags });

async function startWithRings(start: (options?: object) => Promise<EdgpuMachine>, options = {}): Promise<EdgpuMachine> {
  const machine = await start(options);
  for (const engine of ENGINES) await machine.setUpRing(engine);
  return machine;
}

async function enableInterrupts(machine: EdgpuMachine): Promise<void> {
  await machine.enableMsix((await machine.pci.findCapability(MSIX)) ?? 0);
  await machine.writeRegister('IRQ_ENABLE', 0x3_0003n);
}

function fenceValue(machine: EdgpuMachine, engine: number): Promise<bigint> {
  return machine.readEngine(engine, 'FENCE', 8);
}

/** What was injected so far, as the host hears of it. */
async function injected(machine: EdgpuMachine): Promise<unknown[]> {
  await machine.execute('query-status');
  return machine.qmp.seen('EDGPU_INJECTED').map(({ data }) => data['failure']);
}

describe('hang', () => {
  test.for(ENGINES)(
    'stops engine %i at its third command, without a fault, until its reset',
    async (engine, { startMachine }) => {
      const machine = await startWithRings(startMachine);
      await machine.monitor.inject({ kind: 'hang', engine, at: 3 });
      await machine.submit(engine, [fence(1n), fence(2n), fence(3n), fence(4n)]);
      await machine.submit(1 - engine, [fence(1n), fence(2n), fence(3n), fence(4n)]);
      await machine.qtest.stepClock(1_000_000_000);
      expect(await fenceValue(machine, engine)).toBe(2n);
      expect(await machine.readEngine(engine, 'HEAD')).toBe(2n);
      expect(await machine.readEngine(engine, 'STATUS')).toBe(BigInt(edgpu('STATUS_BUSY')));
      expect(await fenceValue(machine, 1 - engine)).toBe(4n);
      expect(await machine.faultEvents()).toEqual([]);
      expect(await injected(machine)).toEqual([{ kind: 'hang', engine }]);
      await machine.setUpRing(engine);
      await machine.run(engine, [fence(9n)]);
      expect(await fenceValue(machine, engine)).toBe(9n);
    },
  );

  test('ends by a ring overrun, which is a fault', async ({ startMachine }) => {
    const machine = await startWithRings(startMachine);
    await machine.monitor.inject({ kind: 'hang', engine: 0 });
    await machine.submit(0, [fence(1n)]);
    await machine.qtest.stepClock(1_000_000);
    expect(await machine.isBusy(0)).toBe(true);
    await machine.writeEngine(0, 'TAIL', 64n);
    expect(await machine.fault(0)).toEqual({ kind: FAULT.ringOverrun, slot: 0, address: 64n });
    expect(await machine.isBusy(0)).toBe(false);
  });

  test('of no named engine takes the first that gets there', async ({ startMachine }) => {
    const machine = await startWithRings(startMachine);
    await machine.monitor.inject({ kind: 'hang', at: 2 });
    await machine.run(0, [fence(1n)]);
    await machine.submit(1, [fence(1n)]);
    await machine.qtest.stepClock(1_000_000);
    expect(await machine.isBusy(1)).toBe(true);
    expect(await machine.isBusy(0)).toBe(false);
  });
});

describe('error', () => {
  test.for(ENGINES)(
    'fails the second command of engine %i before it moves anything',
    async (engine, { startMachine }) => {
      const machine = await startWithRings(startMachine);
      await machine.monitor.inject({ kind: 'error', engine, at: 2 });
      await machine.qtest.writeBytes(DATA, pattern(64));
      const fill = { opcode: OP.fill, dst: DATA, len: 64n, value: 0n };
      await machine.run(engine, [fence(1n), fill, fence(2n)]);
      expect(await machine.fault(engine)).toEqual({ kind: FAULT.hardware, slot: 1, address: 0n });
      expect(await machine.faultEvents()).toMatchObject([{ engine, slot: 1, kind: 'hardware' }]);
      expect(await fenceValue(machine, engine)).toBe(1n);
      expect(Buffer.compare(await machine.qtest.readBytes(DATA, 64), pattern(64))).toBe(0);
      await machine.setUpRing(engine);
      await machine.run(engine, [fill]);
      expect((await machine.fault(engine)).kind).toBe(FAULT.none);
    },
  );
});

describe('delay', () => {
  test.for(ENGINES)(
    'holds back what a command of engine %i tells, not what it moves',
    async (engine, { startMachine }) => {
      const machine = await startWithRings(startMachine);
      await enableInterrupts(machine);
      await machine.monitor.inject(
        { kind: 'delay', engine, at: 1, ns: 5_000_000 },
        { kind: 'delay', engine, at: 2, ns: 1_000_000 },
      );
      await machine.submit(engine, [{ opcode: OP.fill, dst: DATA, len: 8n, value: 7n }, fence(1n, FLAG.irq)]);
      await machine.qtest.stepClock(4_900_000);
      expect(await machine.qtest.read(DATA, 8)).toBe(7n);
      expect(await machine.readEngine(engine, 'HEAD')).toBe(0n);
      await machine.qtest.stepClock(200_000);
      expect(await machine.readEngine(engine, 'HEAD')).toBe(1n);
      expect(await fenceValue(machine, engine)).toBe(0n);
      expect(await machine.takeMessages()).toEqual([]);
      await machine.qtest.stepClock(1_000_000);
      expect(await fenceValue(machine, engine)).toBe(1n);
      expect(await machine.takeMessages()).toEqual([edgpu('VECTOR_ENGINE') + engine]);
    },
  );

  test('ends with the reset of its engine', async ({ startMachine }) => {
    const machine = await startWithRings(startMachine);
    await machine.monitor.inject({ kind: 'delay', ns: HOUR_NS });
    await machine.submit(0, [fence(1n)]);
    await machine.qtest.stepClock(1_000_000);
    expect(await machine.isBusy(0)).toBe(true);
    await machine.setUpRing(0);
    await machine.run(0, [fence(2n)]);
    expect(await fenceValue(machine, 0)).toBe(2n);
  });
});

describe('drop-irq', () => {
  test.for(ENGINES)('loses the second message of engine %i, not what happened', async (engine, { startMachine }) => {
    const machine = await startWithRings(startMachine);
    const vector = edgpu('VECTOR_ENGINE') + engine;
    await enableInterrupts(machine);
    await machine.monitor.inject({ kind: 'drop-irq', vector, at: 2 });
    const told: number[][] = [];
    for (const value of [1n, 2n, 3n]) {
      await machine.run(1 - engine, [fence(value, FLAG.irq)]);
      await machine.run(engine, [fence(value, FLAG.irq)]);
      told.push((await machine.takeMessages()).filter((one) => one === vector));
    }
    expect(told).toEqual([[vector], [], [vector]]);
    expect(await fenceValue(machine, engine)).toBe(3n);
    expect(await machine.readRegister('IRQ_STATUS')).toBe(3n);
    expect(await machine.statistic('irqs')).toBe(5);
  });

  test('can lose that of a fault', async ({ startMachine }) => {
    const machine = await startWithRings(startMachine);
    await enableInterrupts(machine);
    await machine.monitor.inject({ kind: 'drop-irq' });
    await machine.run(0, [{ opcode: 99 }]);
    expect(await machine.takeMessages()).toEqual([]);
    expect((await machine.fault(0)).kind).toBe(FAULT.badCommand);
  });
});

describe('flip', () => {
  test.for(ENGINES)(
    'changes one bit of VRAM after the second command of engine %i',
    async (engine, { startMachine }) => {
      const machine = await startWithRings(startMachine);
      await machine.monitor.inject({ kind: 'flip', engine, at: 2, offset: 0x1001, bit: 6 });
      const fill = { opcode: OP.fill, flags: FLAG.dstVram, dst: 0n, len: 0x2000n, value: 0n };
      await machine.run(engine, [fill, fill, fence(1n)]);
      const vram = await machine.readVram(0, 0x2000);
      expect(vram[0x1001]).toBe(0x40);
      expect(vram.filter((byte) => byte !== 0).length).toBe(1);
      await machine.run(engine, [fill]);
      expect((await machine.readVram(0x1001, 1))[0]).toBe(0);
    },
  );

  test('happens at once where no command is named, and twice is nothing', async ({ startMachine }) => {
    const machine = await startMachine();
    await machine.monitor.inject({ kind: 'flip', offset: 5, bit: 0 });
    expect((await machine.readVram(5, 1))[0]).toBe(1);
    await machine.monitor.inject({ kind: 'flip', offset: 5 });
    expect((await machine.readVram(5, 1))[0]).toBe(0);
    expect(await machine.statistic('injected')).toBe(2);
  });
});

describe('dead', () => {
  async function expectDead(machine: EdgpuMachine): Promise<void> {
    const ones = Array<number>(16).fill(0xff);
    for (const name of ['ID', 'SCRATCH', 'IRQ_STATUS']) expect(await machine.readRegister(name)).toBe(0xffff_ffffn);
    expect(Array.from(await machine.readVram(0, 16))).toEqual(ones);
    expect(await machine.pci.read(0, 4)).toBe(0xffff_ffff);
    await machine.writeRegister('SCRATCH', 1n);
    await machine.writeVram(0, new Uint8Array(16));
    await machine.pci.write(4, 2, 0);
    expect(await machine.readRegister('SCRATCH')).toBe(0xffff_ffffn);
    expect(Array.from(await machine.readVram(0, 16))).toEqual(ones);
  }

  test.for(ENGINES)(
    'at the second command of engine %i, all DMA stops and all reads are ones',
    async (engine, { startMachine }) => {
      const machine = await startWithRings(startMachine);
      await enableInterrupts(machine);
      await machine.submit(1 - engine, [
        { opcode: OP.fill, dst: DATA, len: 64n * MIB, value: 1n },
        fence(1n, FLAG.irq),
      ]);
      await machine.monitor.inject({ kind: 'dead', engine, at: 2 });
      await machine.submit(engine, [fence(5n), fence(6n, FLAG.irq)]);
      await machine.qtest.stepClock(10_000);
      await expectDead(machine);
      const written = await machine.statistic('dma-write-bytes');
      await machine.qtest.stepClock(1_000_000_000);
      expect(await machine.statistic('dma-write-bytes')).toBe(written);
      expect(await machine.takeMessages()).toEqual([]);
      expect(await machine.faultEvents()).toEqual([]);
      expect(await injected(machine)).toEqual([{ kind: 'dead', engine }]);
    },
  );

  test('until the machine is reset', async ({ startMachine }) => {
    const machine = await startWithRings(startMachine);
    await machine.monitor.inject({ kind: 'dead' });
    await expectDead(machine);
    await machine.execute('system_reset');
    await machine.waitForEvent('RESET');
    await machine.placeBars();
    expect(await machine.readRegister('ID')).toBe(BigInt(edgpu('ID')));
    expect(await machine.readRegister('VRAM_GENERATION')).toBe(2n);
    await machine.setUpRing(0);
    await machine.run(0, [fence(5n)]);
    expect(await fenceValue(machine, 0)).toBe(5n);
  });

  test('until it is cleared, which is power-on of the whole function', async ({ startMachine }) => {
    const machine = await startWithRings(startMachine);
    await enableInterrupts(machine);
    const [pm = 0, msix = 0] = [await machine.pci.findCapability(1), await machine.pci.findCapability(MSIX)];
    await machine.pci.write(pm + 4, 2, 3);
    await machine.monitor.inject({ kind: 'dead' });
    await machine.monitor.clearFailures();
    expect((await machine.pci.read(pm + 4, 2)) & 3).toBe(0);
    expect((await machine.pci.read(msix + 2, 2)) & 0x8000).toBe(0);
    expect((await machine.pci.read(4, 2)) & 7).toBe(0);
    expect(await machine.pci.read(0x10, 4)).toBe(0);
    await machine.placeBars();
    expect(await machine.readRegister('VRAM_GENERATION')).toBe(2n);
    expect(await machine.readEngine(0, 'RING_SIZE')).toBe(0n);
    expect(await machine.readRegister('SCRATCH')).toBe(0n);
  });

  test('in D3hot it stays dead on the way back', async ({ startMachine }) => {
    const machine = await startMachine();
    const pm = (await machine.pci.findCapability(1)) ?? 0;
    await machine.pci.write(pm + 4, 2, 3);
    await machine.monitor.inject({ kind: 'dead' });
    await machine.pci.write(pm + 4, 2, 0);
    expect(await machine.pci.read(pm + 4, 2)).toBe(0xffff);
  });
});

describe('unplug', () => {
  const SLOT_STATUS = 0x1a;
  const PRESENCE_CHANGED = 0x08;
  const PRESENT = 0x40;
  const LINK_CHANGED = 0x100;

  async function slotStatus(machine: EdgpuMachine): Promise<number> {
    return machine.port.read(((await machine.port.findCapability(PCIE)) ?? 0) + SLOT_STATUS, 2);
  }

  test.for(ENGINES)(
    'at the first command of engine %i empties the slot, and the port says so',
    async (engine, { startMachine }) => {
      const machine = await startWithRings(startMachine, { hotPluggable: true });
      expect((await slotStatus(machine)) & PRESENT).toBe(PRESENT);
      await machine.monitor.inject({ kind: 'unplug', engine });
      await machine.submit(engine, [{ opcode: OP.fill, dst: DATA, len: 64n * MIB, value: 1n }]);
      await machine.qtest.stepClock(1_000_000);
      await machine.waitForEvent('DEVICE_DELETED', ({ device }) => device === 'gpu0');
      expect((await slotStatus(machine)) & (PRESENT | PRESENCE_CHANGED | LINK_CHANGED)).toBe(
        PRESENCE_CHANGED | LINK_CHANGED,
      );
      expect(await machine.pci.read(0, 4)).toBe(0xffff_ffff);
      expect(await machine.qtest.read(DATA, 8)).toBe(0n);
      expect(await injected(machine)).toEqual([{ kind: 'unplug', engine }]);
      await machine.execute('device_add', { driver: 'edgpu', id: 'gpu0', bus: 'port0' });
      expect((await slotStatus(machine)) & PRESENT).toBe(PRESENT);
    },
  );

  test('while the machine migrates only kills it: it stays in its slot, dead, until it is cleared', async ({
    startMachine,
    folder,
  }) => {
    const machine = await startWithRings(startMachine, { hotPluggable: true });
    await watchMigration(machine);
    // So slow that it does not end.
    await machine.execute('migrate-set-parameters', { 'max-bandwidth': 1000 });
    await machine.execute('migrate', { uri: `file:${folder}/state` });
    await machine.waitForEvent('MIGRATION', ({ status }) => status === 'active');
    await machine.monitor.inject({ kind: 'unplug' });
    await machine.execute('migrate_cancel');
    await machine.waitForEvent('MIGRATION', ({ status }) => status === 'cancelled');
    expect(machine.qmp.seen('DEVICE_DELETED')).toEqual([]);
    expect((await slotStatus(machine)) & PRESENT).toBe(PRESENT);
    expect(await machine.pci.read(0, 4)).toBe(0xffff_ffff);
    await machine.monitor.clearFailures();
    await machine.placeBars();
    expect(await machine.readRegister('ID')).toBe(BigInt(edgpu('ID')));
  });

  test('is refused where nothing can be unplugged', async ({ startMachine }) => {
    const machine = await startMachine();
    await expect(machine.monitor.inject({ kind: 'unplug' })).rejects.toThrow(/needs a port with PCI Express hot-plug/);
    expect(await machine.monitor.pendingFailures()).toEqual([]);
  });
});

describe('the list', () => {
  test('reads back what is pending and how far it is, grows, and can be cleared', async ({ startMachine }) => {
    const machine = await startWithRings(startMachine);
    expect(await machine.monitor.pendingFailures()).toEqual([]);
    await machine.monitor.inject({ kind: 'hang', engine: 0, at: 0x10 }, { kind: 'drop-irq' });
    await machine.monitor.inject({ kind: 'flip', bit: 7, offset: 4096, engine: 1 }, { kind: 'delay', ns: 5, at: 7 });
    await machine.run(0, [fence(1n), fence(2n)]);
    expect(await machine.monitor.pendingFailures()).toEqual([
      { kind: 'hang', engine: 0, at: 14 },
      { kind: 'drop-irq', at: 1 },
      { kind: 'flip', engine: 1, at: 1, offset: 4096, bit: 7 },
      { kind: 'delay', at: 5, ns: 5 },
    ]);
    await machine.monitor.clearFailures();
    expect(await machine.monitor.pendingFailures()).toEqual([]);
    expect(await machine.statistic('injected')).toBe(0);
  });

  test('outlives an FLR, not a reset of the machine', async ({ startMachine }) => {
    const machine = await startMachine();
    await machine.monitor.inject({ kind: 'error', engine: 1, at: 2 });
    await machine.pci.write(((await machine.pci.findCapability(PCIE)) ?? 0) + 8, 2, 0x8000);
    expect(await machine.monitor.pendingFailures()).toEqual([{ kind: 'error', engine: 1, at: 2 }]);
    await machine.execute('system_reset');
    await machine.waitForEvent('RESET');
    expect(await machine.monitor.pendingFailures()).toEqual([]);
  });

  /** The least and the most that each member may be. */
  const extremes: readonly EdgpuFailure[] = [
    { kind: 'hang', engine: 0, at: 1 },
    { kind: 'hang', engine: 1, at: Number.MAX_SAFE_INTEGER },
    { kind: 'error', engine: 1, at: 1 },
    { kind: 'delay', engine: 0, at: 1, ns: 1 },
    { kind: 'delay', engine: 1, at: 1, ns: HOUR_NS },
    { kind: 'flip', engine: 0, at: 1, offset: 0, bit: 0 },
    { kind: 'flip', engine: 1, at: 1, offset: VRAM_SIZE - 1, bit: 7 },
    { kind: 'drop-irq', vector: 0, at: 1 },
    { kind: 'drop-irq', vector: 2, at: 1 },
    { kind: 'dead', engine: 1, at: 1 },
    { kind: 'unplug', engine: 1, at: 1 },
  ];

  test('has room for each kind, and gives back what it was given', async ({ startMachine }) => {
    const machine = await startMachine({ hotPluggable: true });
    await machine.monitor.inject(...extremes);
    expect(await machine.monitor.pendingFailures()).toEqual(extremes);
    for (let pending = extremes.length; pending < MOST; pending++) await machine.monitor.inject({ kind: 'hang' });
    expect(await machine.monitor.pendingFailures()).toHaveLength(MOST);
    await expect(machine.monitor.inject({ kind: 'hang' })).rejects.toThrow(/No more than 32 failures can be pending/);
  });

  test.for([
    ['nothing', [], /list of failures is empty/],
    ['no list', 'hang', /'failures', expected: array/],
    ['no kind', [{ at: 1 }], /'failures\[0\]\.kind' is missing/],
    ['an unknown kind', [{ kind: 'boil' }], /'kind' does not accept value 'boil'/],
    [
      'an engine that is not there',
      [{ kind: 'hang', engine: 2 }],
      /Failure 1 of the list \(hang\): 'engine' must be 0 to 1/,
    ],
    ['the largest number as an engine', [{ kind: 'error', engine: 0xffff_ffff }], /'engine' must be 0 to 1/],
    ['an engine that is no number', [{ kind: 'dead', engine: 'all' }], /'failures\[0\]\.engine' expects uint64/],
    ['the command before the next', [{ kind: 'hang', at: 0 }], /'at' must be 1 to 9223372036854775807/],
    ['a past command', [{ kind: 'unplug', at: -1 }], /'at' must be 1 to 9223372036854775807/],
    ['a vector of an engine', [{ kind: 'hang', vector: 1 }], /'failures\[0\]\.vector' is unexpected/],
    ['an engine of a message', [{ kind: 'drop-irq', engine: 1 }], /'failures\[0\]\.engine' is unexpected/],
    ['a vector that is not there', [{ kind: 'drop-irq', vector: 3 }], /'vector' must be 0 to 2/],
    ['a delay of unknown length', [{ kind: 'delay' }], /'failures\[0\]\.ns' is missing/],
    ['no delay', [{ kind: 'delay', ns: 0 }], /'ns' must be 1 to 3600000000000/],
    ['a delay of more than an hour', [{ kind: 'delay', ns: HOUR_NS + 1 }], /'ns' must be 1 to 3600000000000/],
    ['a flip of unknown place', [{ kind: 'flip', bit: 1 }], /'failures\[0\]\.offset' is missing/],
    ['a flip beyond VRAM', [{ kind: 'flip', offset: VRAM_SIZE }], /'offset' must be 0 to 16777215/],
    ['a bit that no byte has', [{ kind: 'flip', offset: 0, bit: 8 }], /'bit' must be 0 to 7/],
    ['a second that is wrong', [{ kind: 'error' }, { kind: 'hang', engine: 9 }], /Failure 2 of the list \(hang\)/],
    ['one too many', Array(MOST + 1).fill({ kind: 'hang' }), /No more than 32 failures can be pending/],
  ] as const)(
    '%s is refused with a sentence, and nothing of it is kept',
    async ([, failures, sentence], { startMachine }) => {
      const machine = await startMachine();
      const { path } = machine.monitor;
      await expect(machine.execute('edgpu-inject', { path, failures })).rejects.toThrow(sentence);
      expect(await machine.monitor.pendingFailures()).toEqual([]);
    },
  );
});

test.for([
  ['edgpu-inject', { failures: [{ kind: 'hang' }] }],
  ['edgpu-clear-failures', {}],
  ['query-edgpu-failures', {}],
  ['query-edgpu-statistics', {}],
  ['edgpu-reset-statistics', {}],
] as const)('%s says where there is no device', async ([command, args], { startMachine }) => {
  const machine = await startMachine();
  for (const path of ['/machine/peripheral/gpu7', '/machine', 'gpu0', '']) {
    await expect(machine.execute(command, { path, ...args })).rejects.toThrow(
      `'${path}' is not the QOM path of an edgpu device`,
    );
  }
  await expect(machine.execute(command, args)).rejects.toThrow("Parameter 'path' is missing");
});
