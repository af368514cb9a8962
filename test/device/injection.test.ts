/** Failures on demand: each happens when it was asked to, once, to whom it was asked to, and to no other. */
import { describe, expect } from 'vitest';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import { FAULT, FLAG, OP, pattern } from '../../src/device/edgpu-command.ts';
import { DATA, test, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';

const MSIX = 0x11;
const PCIE = 0x10;
const ENGINES = [0, 1] as const;
const MIB = 1n << 20n;

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
  return machine.qmp.seen('EDGPU_INJECTED').map(({ data }) => data['what']);
}

describe('hang', () => {
  test.for(ENGINES)(
    'stops engine %i at its third command, without a fault, until its reset',
    async (engine, { startMachine }) => {
      const machine = await startWithRings(startMachine);
      await machine.set('inject', `hang engine=${engine} at=3`);
      await machine.submit(engine, [fence(1n), fence(2n), fence(3n), fence(4n)]);
      await machine.submit(1 - engine, [fence(1n), fence(2n), fence(3n), fence(4n)]);
      await machine.qtest.stepClock(1_000_000_000);
      expect(await fenceValue(machine, engine)).toBe(2n);
      expect(await machine.readEngine(engine, 'HEAD')).toBe(2n);
      expect(await machine.readEngine(engine, 'STATUS')).toBe(BigInt(edgpu('STATUS_BUSY')));
      expect(await fenceValue(machine, 1 - engine)).toBe(4n);
      expect(await machine.faultEvents()).toEqual([]);
      expect(await injected(machine)).toEqual([`hang engine=${engine}`]);
      await machine.setUpRing(engine);
      await machine.run(engine, [fence(9n)]);
      expect(await fenceValue(machine, engine)).toBe(9n);
    },
  );

  test('of no named engine takes the first that gets there', async ({ startMachine }) => {
    const machine = await startWithRings(startMachine);
    await machine.set('inject', 'hang at=2');
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
      await machine.set('inject', `error engine=${engine} at=2`);
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
      await machine.set('inject', `delay engine=${engine} at=1 ns=5000000; delay engine=${engine} at=2 ns=1000000`);
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
    await machine.set('inject', 'delay ns=3600000000000');
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
    await machine.set('inject', `drop-irq vector=${vector} at=2`);
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
    await machine.set('inject', 'drop-irq');
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
      await machine.set('inject', `flip engine=${engine} at=2 offset=0x1001 bit=6`);
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
    await machine.set('inject', 'flip offset=5 bit=0');
    expect((await machine.readVram(5, 1))[0]).toBe(1);
    await machine.set('inject', 'flip offset=5');
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
      await machine.set('inject', `dead engine=${engine} at=2`);
      await machine.submit(engine, [fence(5n), fence(6n, FLAG.irq)]);
      await machine.qtest.stepClock(10_000);
      await expectDead(machine);
      const written = await machine.statistic('dma-write-bytes');
      await machine.qtest.stepClock(1_000_000_000);
      expect(await machine.statistic('dma-write-bytes')).toBe(written);
      expect(await machine.takeMessages()).toEqual([]);
      expect(await machine.faultEvents()).toEqual([]);
      expect(await injected(machine)).toEqual([`dead engine=${engine}`]);
    },
  );

  test('until the machine is reset', async ({ startMachine }) => {
    const machine = await startWithRings(startMachine);
    await machine.set('inject', 'dead');
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
    await machine.set('inject', 'dead');
    await machine.set('inject', 'clear');
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
    await machine.set('inject', 'dead');
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
      await machine.set('inject', `unplug engine=${engine}`);
      await machine.submit(engine, [{ opcode: OP.fill, dst: DATA, len: 64n * MIB, value: 1n }]);
      await machine.qtest.stepClock(1_000_000);
      await machine.waitForEvent('DEVICE_DELETED', ({ device }) => device === 'gpu0');
      expect((await slotStatus(machine)) & (PRESENT | PRESENCE_CHANGED | LINK_CHANGED)).toBe(
        PRESENCE_CHANGED | LINK_CHANGED,
      );
      expect(await machine.pci.read(0, 4)).toBe(0xffff_ffff);
      expect(await machine.qtest.read(DATA, 8)).toBe(0n);
      expect(await injected(machine)).toEqual([`unplug engine=${engine}`]);
      await machine.execute('device_add', { driver: 'edgpu', id: 'gpu0', bus: 'port0' });
      expect((await slotStatus(machine)) & PRESENT).toBe(PRESENT);
    },
  );

  test('is refused where nothing can be unplugged', async ({ startMachine }) => {
    const machine = await startMachine();
    await expect(machine.set('inject', 'unplug')).rejects.toThrow(/needs a port with PCI Express hot-plug/);
    expect(await machine.get('inject')).toBe('');
  });
});

describe('the list', () => {
  test('reads back what is pending and how far it is, grows, and can be cleared', async ({ startMachine }) => {
    const machine = await startWithRings(startMachine);
    expect(await machine.get('inject')).toBe('');
    await machine.set('inject', 'hang  engine=0 at=0x10;drop-irq');
    await machine.set('inject', 'flip bit=7 offset=4096 engine=1; delay ns=5 at=7');
    await machine.run(0, [fence(1n), fence(2n)]);
    expect(await machine.get('inject')).toBe(
      'hang engine=0 at=14; drop-irq at=1; flip engine=1 at=1 offset=4096 bit=7; delay at=5 ns=5',
    );
    await machine.set('inject', 'clear');
    expect(await machine.get('inject')).toBe('');
    expect(await machine.statistic('injected')).toBe(0);
  });

  test('outlives an FLR, not a reset of the machine', async ({ startMachine }) => {
    const machine = await startMachine();
    await machine.set('inject', 'error engine=1 at=2');
    await machine.pci.write(((await machine.pci.findCapability(PCIE)) ?? 0) + 8, 2, 0x8000);
    expect(await machine.get('inject')).toBe('error engine=1 at=2');
    await machine.execute('system_reset');
    await machine.waitForEvent('RESET');
    expect(await machine.get('inject')).toBe('');
  });

  test.for([
    ['', /say what, as in 'hang engine=0 at=1'/],
    ['hang;', /say what/],
    ['boil', /no 'boil'; there are hang, error, delay, flip, drop-irq, dead, unplug and clear/],
    ['hang engine=2', /engine must be 0 to 1/],
    ['hang at=0', /at must be 1 to/],
    ['hang at=-1', /at must be a number/],
    ['hang at', /at must be a number, as in at=1/],
    ['hang at=99999999999999999999', /at must be a number/],
    ['hang at=1 at=2', /'at' is given twice/],
    ['hang vector=1', /hang takes no 'vector'/],
    ['drop-irq vector=3', /vector must be 0 to 2/],
    ['delay', /delay needs ns=/],
    ['delay ns=3600000000001', /ns must be 1 to 3600000000000/],
    ['flip', /flip needs offset=/],
    ['flip offset=16777216', /offset must be 0 to 16777215/],
    ['flip offset=0 bit=8', /bit must be 0 to 7/],
    ['error at=1; hang engine=9', /engine must be 0 to 1/],
    [Array(33).fill('hang').join(';'), /32 are pending, and more can't be/],
  ] as const)(
    '%s is refused with a sentence, and nothing of it is kept',
    async ([text, sentence], { startMachine }) => {
      const machine = await startMachine();
      await expect(machine.set('inject', text)).rejects.toThrow(sentence);
      expect(await machine.get('inject')).toBe('');
    },
  );
});
