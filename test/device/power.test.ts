/** Resets and power states: what each keeps, what each loses. */
import { readFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { FAULT, OP, pattern } from '../../src/device/edgpu-command.ts';
import { PCI_COMMAND_MEMORY, PciFunction } from '../../src/device/qtest.ts';
import { DATA, test, VRAM_SIZE, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';
import { load, save } from './streams.ts';

const PM = 0x01;
const PCIE = 0x10;
const PMCSR = 4;
const DEVCTL = 8;
const FLR = 0x8000;
const SLTCTL = 0x18;
/** Power off, while the indicator is on: with both off the slot would be emptied. */
const SLOT_OFF = 0x0500;
const D3HOT = 3;

async function capability(machine: EdgpuMachine, id: number): Promise<number> {
  const offset = await machine.pci.findCapability(id);
  if (offset === undefined) throw new Error(`No PCI capability ${id}`);
  return offset;
}

/** Leaves traces everywhere: VRAM, registers, a fence, and work in progress. */
async function leaveTraces(machine: EdgpuMachine): Promise<void> {
  await machine.setUpRing(0);
  await machine.writeVram(0, pattern(4096));
  await machine.run(0, [{ opcode: OP.fence, value: 77n }]);
  await machine.writeRegister('SCRATCH', 1n);
  await machine.writeRegister('IRQ_ENABLE', 1n);
  await machine.submit(0, [{ opcode: OP.fill, dst: DATA, len: 0x80_0000n, value: 1n }]);
  await machine.qtest.stepClock();
}

/** Through the ICH9 south bridge: its power management base, ACPI enable, then SLP_EN with the type of S3. */
async function suspendToRam(machine: EdgpuMachine): Promise<void> {
  const bridge = new PciFunction(machine.qtest, 0x1f);
  await bridge.write(0x40, 4, 0x601);
  await bridge.write(0x44, 1, 0x80);
  await machine.qtest.writePort(0x604, 2, (1 << 13) | (1 << 10));
  await machine.waitForEvent('SUSPEND');
}

async function sleepAndWake(machine: EdgpuMachine): Promise<void> {
  await suspendToRam(machine);
  await machine.execute('system_wakeup');
  await machine.waitForEvent('WAKEUP');
}

async function resetMachine(machine: EdgpuMachine): Promise<void> {
  await machine.execute('system_reset');
  await machine.waitForEvent('RESET');
}

async function flr(machine: EdgpuMachine): Promise<void> {
  await machine.pci.write((await capability(machine, PCIE)) + DEVCTL, 2, FLR);
}

async function expectLost(machine: EdgpuMachine, generation: bigint): Promise<void> {
  expect(await machine.readRegister('VRAM_GENERATION')).toBe(generation);
  const vram = Buffer.from(await machine.readVram(0, 4096));
  expect(vram.equals(pattern(4096))).toBe(false);
  const words = Array.from({ length: 512 }, (_, i) => vram.readBigUInt64LE(8 * i));
  expect(new Set(words).size).toBe(512);
  for (const name of ['SCRATCH', 'IRQ_STATUS', 'IRQ_ENABLE']) expect(await machine.readRegister(name), name).toBe(0n);
  for (const name of ['RING_SIZE', 'HEAD', 'TAIL', 'STATUS', 'FAULT_COUNT']) {
    expect(await machine.readEngine(0, name), name).toBe(0n);
  }
  expect(await machine.readEngine(0, 'FENCE', 8)).toBe(0n);
  await machine.qtest.stepClock(10_000_000);
  expect(await machine.faultEvents()).toEqual([]);
}

async function expectWorks(machine: EdgpuMachine): Promise<void> {
  await machine.setUpRing(0);
  await machine.run(0, [{ opcode: OP.fence, value: 5n }]);
  expect(await machine.readEngine(0, 'FENCE', 8)).toBe(5n);
}

test('at power-on VRAM is zero, generation 1', async ({ startMachine }) => {
  const machine = await startMachine();
  expect(await machine.readRegister('VRAM_GENERATION')).toBe(1n);
  expect(Buffer.from(await machine.readVram(0, 4096)).equals(Buffer.alloc(4096))).toBe(true);
});

test('a reset of the machine loses everything', async ({ startMachine }) => {
  const machine = await startMachine();
  await leaveTraces(machine);
  await resetMachine(machine);
  await machine.placeBars();
  await expectLost(machine, 2n);
  await expectWorks(machine);
});

test('suspend to RAM and wakeup lose everything', async ({ startMachine }) => {
  const machine = await startMachine();
  await leaveTraces(machine);
  await sleepAndWake(machine);
  await machine.placeBars();
  await expectLost(machine, 2n);
  await expectWorks(machine);
});

test('an FLR loses everything', async ({ startMachine }) => {
  const machine = await startMachine();
  await leaveTraces(machine);
  const pcie = await capability(machine, PCIE);
  await machine.pci.write(pcie + DEVCTL, 2, FLR);
  expect((await machine.pci.read(pcie + DEVCTL, 2)) & FLR).toBe(0);
  await machine.placeBars();
  await expectLost(machine, 2n);
  await expectWorks(machine);
});

test.for([
  ['a reset of the machine', resetMachine],
  ['an FLR', flr],
] as const)('%s drops pending commands: not a byte moves after it', async ([, happen], { startMachine }) => {
  const machine = await startMachine();
  await leaveTraces(machine);
  const written = await machine.statistic('dma-write-bytes');
  expect(written).toBeGreaterThan(0);
  expect(written).toBeLessThan(0x80_0000);
  await happen(machine);
  await machine.qtest.stepClock(10_000_000);
  expect(await machine.statistic('dma-write-bytes')).toBe(written);
  expect(await machine.statistic('commands')).toBe(1);
  expect(await machine.faultEvents()).toEqual([]);
});

test('a stopped VM keeps pending commands, and they go on with it', async ({ startMachine }) => {
  const machine = await startMachine();
  await leaveTraces(machine);
  await machine.execute('stop');
  await machine.execute('cont');
  await machine.drain();
  expect(await machine.statistic('dma-write-bytes')).toBe(0x80_0000);
});

test('bus mastering that is taken away faults at the next access, with what was done before', async ({
  startMachine,
}) => {
  const machine = await startMachine();
  await leaveTraces(machine);
  const written = await machine.statistic('dma-write-bytes');
  await machine.pci.setCommand(PCI_COMMAND_MEMORY);
  await machine.qtest.stepClock(10_000_000);
  const fault = { kind: FAULT.busMaster, slot: 1, address: DATA + BigInt(written) };
  expect(await machine.fault(0)).toEqual(fault);
  expect(await machine.statistic('dma-write-bytes')).toBe(written);
});

describe('D3hot', () => {
  test('and back loses everything', async ({ startMachine }) => {
    const machine = await startMachine();
    await leaveTraces(machine);
    await machine.drain();
    const pm = await capability(machine, PM);
    await machine.pci.write(pm + PMCSR, 2, D3HOT);
    expect((await machine.pci.read(pm + PMCSR, 2)) & 3).toBe(D3HOT);
    await machine.pci.write(pm + PMCSR, 2, 0);
    await machine.placeBars();
    await expectLost(machine, 2n);
    await expectWorks(machine);
  });

  test('with work pending is a fault that only the host can still see', async ({ startMachine }) => {
    const machine = await startMachine();
    await leaveTraces(machine);
    const pm = await capability(machine, PM);
    await machine.pci.write(pm + PMCSR, 2, D3HOT);
    await machine.qtest.stepClock(1_000_000);
    expect(await machine.faultEvents()).toMatchObject([{ engine: 0, slot: 1, kind: 'power' }]);
    expect(await machine.statistic('faults-power')).toBe(1);
    await machine.pci.write(pm + PMCSR, 2, 0);
    await machine.placeBars();
    expect((await machine.fault(0)).kind).toBe(FAULT.none);
  });

  test('with work pending is told even if the way back comes at once', async ({ startMachine }) => {
    const machine = await startMachine();
    await leaveTraces(machine);
    const pm = await capability(machine, PM);
    await machine.pci.write(pm + PMCSR, 2, D3HOT);
    expect(await machine.faultEvents()).toMatchObject([{ engine: 0, slot: 1, kind: 'power' }]);
    await machine.pci.write(pm + PMCSR, 2, 0);
    expect(await machine.statistic('faults-power')).toBe(1);
  });

  test.for([
    ['a hang', { kind: 'hang', engine: 0 }],
    ['a delay', { kind: 'delay', engine: 0, ns: 1e9 }],
  ] as const)('with work pending behind %s is told, too', async ([, failure], { startMachine }) => {
    const machine = await startMachine();
    await machine.setUpRing(0);
    await machine.monitor.inject(failure);
    await machine.submit(0, [{ opcode: OP.nop }]);
    await machine.qtest.stepClock(2_000);
    await machine.pci.write((await capability(machine, PM)) + PMCSR, 2, D3HOT);
    expect(await machine.faultEvents()).toMatchObject([{ engine: 0, slot: 0, kind: 'power' }]);
  });

  test('ends by an FLR as well, and VRAM is lost once', async ({ startMachine }) => {
    const machine = await startMachine();
    await machine.pci.write((await capability(machine, PM)) + PMCSR, 2, D3HOT);
    await flr(machine);
    await machine.placeBars();
    expect(await machine.readRegister('VRAM_GENERATION')).toBe(2n);
  });

  test.for([1, 2])('D%i does not exist', async (state, { startMachine }) => {
    const machine = await startMachine();
    const pm = await capability(machine, PM);
    await machine.pci.write(pm + PMCSR, 2, state);
    expect((await machine.pci.read(pm + PMCSR, 2)) & 3).toBe(0);
  });
});

test('the power of its slot, taken and given again, is two resets', async ({ startMachine }) => {
  const machine = await startMachine({ hotPluggable: true });
  const control = ((await machine.port.findCapability(PCIE)) ?? 0) + SLTCTL;
  await machine.monitor.inject({ kind: 'dead' }, { kind: 'hang', engine: 1 });
  await machine.port.write(control, 2, SLOT_OFF);
  await machine.port.write(control, 2, 0);
  await machine.placeBars();
  expect(await machine.readRegister('VRAM_GENERATION')).toBe(3n);
  expect(await machine.monitor.pendingFailures()).toEqual([]);
  await expectWorks(machine);
});

test('a device that is plugged into a slot whose power is off begins when the power comes', async ({
  spawnMachine,
}) => {
  const machine = await spawnMachine({ hotPluggable: true, empty: true });
  const control = ((await machine.port.findCapability(PCIE)) ?? 0) + SLTCTL;
  await machine.port.write(control, 2, SLOT_OFF);
  await machine.execute('device_add', { driver: 'edgpu', id: 'gpu0', bus: 'port0', 'vram-size': VRAM_SIZE });
  await machine.port.write(control, 2, 0);
  await machine.placeBars();
  expect(await machine.readRegister('VRAM_GENERATION')).toBe(2n);
  await expectWorks(machine);
});

test('on a conventional bus there is no FLR, and all else works', async ({ startMachine }) => {
  const machine = await startMachine({ bus: 'conventional' });
  expect(await machine.pci.findCapability(PCIE)).toBeUndefined();
  await expectWorks(machine);
});

describe('lost VRAM is scrambled', () => {
  const MIB = 2 ** 20;
  const SIZE = 256;
  /** What the device may write while it has QEMU's main loop. */
  const SLICE = 4;
  const device = `vram-size=${SIZE}M,aperture-size=${SIZE}M`;

  /** Memory of QEMU's in MiB. VRAM that nobody wrote has none. */
  async function residentMib(machine: EdgpuMachine): Promise<number> {
    const status = await readFile(`/proc/${machine.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
  }

  /** Of each MiB the first and the last word, as the guest sees them. */
  async function sampleVram(machine: EdgpuMachine, size = SIZE): Promise<bigint[]> {
    const offsets = Array.from({ length: size }, (_, i) => [i * MIB, (i + 1) * MIB - 8]).flat();
    const words = await Promise.all(offsets.map((offset) => machine.readVram(offset, 8)));
    return words.map((word) => Buffer.from(word).readBigUInt64LE());
  }

  async function expectScrambled(machine: EdgpuMachine, size = SIZE): Promise<void> {
    await machine.placeBars();
    expect(new Set([0n, ...(await sampleVram(machine, size))]).size).toBe(1 + 2 * size);
  }

  const LOSSES = [
    ['an FLR', flr],
    ['a reset of the machine', resetMachine],
    ['a wakeup', sleepAndWake],
  ] as const;

  test.for(LOSSES)('in slices, between which the VM goes on, after %s', async ([, lose], { startMachine }) => {
    const machine = await startMachine({ device });
    const before = await residentMib(machine);
    await lose(machine);
    // The clock of this VM stands still: what has been written by now was written within the reset.
    expect(await residentMib(machine)).toBeLessThan(before + SIZE / 2);
    for (let slices = 1; slices <= SIZE / SLICE; slices *= 2) {
      await machine.qtest.stepClock(1000 * slices);
      expect(await residentMib(machine)).toBeLessThan(before + SIZE / 2 + 2 * SLICE * slices);
    }
    expect(await residentMib(machine)).toBeGreaterThan(before + SIZE / 2);
    await expectScrambled(machine);
  });

  test.for([0, 1, 7])('whole when memory decoding is turned on after %i slices', async (slices, { startMachine }) => {
    const machine = await startMachine({ device });
    await flr(machine);
    for (let i = 0; i < slices; i++) await machine.qtest.stepClock(1000);
    await expectScrambled(machine);
  });

  test('anew by a loss that comes in between', async ({ startMachine }) => {
    const machine = await startMachine({ device });
    await flr(machine);
    await expectScrambled(machine);
    const second = await sampleVram(machine);
    for (const slices of [3, 2]) {
      await flr(machine);
      await machine.qtest.stepClock(1000 * slices);
    }
    await expectScrambled(machine);
    expect(await machine.readRegister('VRAM_GENERATION')).toBe(4n);
    const fourth = await sampleVram(machine);
    expect(fourth.filter((word, i) => word === second[i])).toEqual([]);
    const steps = fourth.map((word, i) => BigInt.asUintN(64, word - (second[i] ?? 0n)));
    expect(new Set(steps).size, 'all of it is of one loss').toBe(1);
  });

  test('before a bit of it is flipped', async ({ startMachine }) => {
    const machine = await startMachine({ device });
    await flr(machine);
    await machine.monitor.inject({ kind: 'flip', offset: SIZE * MIB - 8, bit: 0 });
    await machine.placeBars();
    const [first = 0n, endOfFirst = 0n, second = 0n, ...rest] = await sampleVram(machine);
    const last = BigInt.asUintN(64, endOfFirst + BigInt(SIZE - 1) * (second - first));
    expect(rest.at(-1)).toBe(last ^ 1n);
  });

  test('before the VM is saved', async ({ startMachine, spawnMachine, folder }) => {
    const size = 4 * SLICE;
    const small = `vram-size=${size}M,aperture-size=${size}M`;
    const source = await startMachine({ device: small });
    await flr(source);
    await source.qtest.stepClock(1000);
    await save(source, `${folder}/state`);
    const target = await spawnMachine({ device: small, extra: ['-incoming', 'defer'] });
    await load(target, `${folder}/state`);
    await expectScrambled(target, size);
  });

  test('no more once the device is gone', async ({ startMachine }) => {
    const machine = await startMachine({ device, hotPluggable: true });
    await flr(machine);
    await machine.monitor.inject({ kind: 'unplug' });
    await machine.waitForEvent('DEVICE_DELETED');
    await machine.qtest.stepClock(1_000_000);
  });
});
