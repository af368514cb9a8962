/** Resets and power states: what each keeps, what each loses. */
import { describe, expect } from 'vitest';
import { FAULT, OP, pattern } from '../../src/device/edgpu-command.ts';
import { PCI_COMMAND_MEMORY, PciFunction } from '../../src/device/qtest.ts';
import { DATA, test, VRAM_SIZE, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';

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
  await machine.execute('system_reset');
  await machine.waitForEvent('RESET');
  await machine.placeBars();
  await expectLost(machine, 2n);
  await expectWorks(machine);
});

test('suspend to RAM and wakeup lose everything', async ({ startMachine }) => {
  const machine = await startMachine();
  await leaveTraces(machine);
  await suspendToRam(machine);
  await machine.execute('system_wakeup');
  await machine.waitForEvent('WAKEUP');
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
  ['a reset of the machine', async (machine: EdgpuMachine) => resetMachine(machine)],
  ['an FLR', async (machine: EdgpuMachine) => machine.pci.write((await capability(machine, PCIE)) + DEVCTL, 2, FLR)],
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

async function resetMachine(machine: EdgpuMachine): Promise<void> {
  await machine.execute('system_reset');
  await machine.waitForEvent('RESET');
}

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
    await machine.pci.write((await capability(machine, PCIE)) + DEVCTL, 2, FLR);
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
