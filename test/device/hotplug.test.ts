/** Coming and going while the machine runs. */
import { expect } from 'vitest';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import { encodeCommand, FLAG, OP } from '../../src/device/edgpu-command.ts';
import { PCI_COMMAND_MASTER, PCI_COMMAND_MEMORY, PciFunction } from '../../src/device/qtest.ts';
import { DATA, test, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';

const BRIDGES = [
  '-device',
  'pcie-root-port,id=rootport0,chassis=1',
  '-device',
  'pcie-pci-bridge,id=bridge0,bus=rootport0',
];

test('a second device is refused with a sentence, plugged, and unplugged', async ({ startMachine }) => {
  const machine = await startMachine({ before: BRIDGES });
  const second = { driver: 'edgpu', id: 'gpu1', bus: 'bridge0', addr: '01.0' };
  await expect(machine.execute('device_add', { ...second, engines: 9 })).rejects.toThrow('engines must be 1 to 4');
  await machine.execute('device_add', second);
  // Work on the first device goes on under both.
  await machine.setUpRing(0);
  await machine.submit(0, [{ opcode: OP.fill, dst: DATA, len: 0x80_0000n }]);
  await machine.execute('device_del', { id: 'gpu1' });
  await machine.drain();
  // No guest answers the request to let go: the reset does.
  await machine.execute('system_reset');
  await machine.waitForEvent('DEVICE_DELETED', ({ device }) => device === 'gpu1');
  await machine.execute('device_add', second);
  expect(await machine.faultEvents()).toEqual([]);
});

const PCIE = 0x10;
const SLTCTL = 0x18;
/** Power controller and power indicator off: the port lets go of what is in it. */
const LET_GO = 0x0700;
/** The same with the indicator on: the device stays in the slot. */
const POWER_OFF = 0x0500;
const ECAM = 0xb000_0000n;
const PORT_SLOT = 4n;

test('a device whose own message empties its slot is gone, in the middle of its work', async ({ startMachine }) => {
  const machine = await startMachine({ hotPluggable: true });
  // As firmware has it: configuration space is memory, too, so a message may lead there.
  const bridge = new PciFunction(machine.qtest, 0);
  await bridge.write(0x60, 4, Number(ECAM) + 1);
  await machine.enableMsix((await machine.pci.findCapability(0x11)) ?? 0);
  const slotControl = ECAM + (PORT_SLOT << 15n) + BigInt(((await machine.port.findCapability(PCIE)) ?? 0) + SLTCTL);
  const entry = edgpu('VECTOR_ENGINE') * 16;
  await machine.writeMsixBar(entry, 4, slotControl);
  await machine.writeMsixBar(entry + 8, 4, BigInt(LET_GO));
  await machine.writeRegister('IRQ_ENABLE', 1n);
  await machine.setUpRing(0);
  await machine.submit(0, [
    { opcode: OP.fence, flags: FLAG.irq, value: 1n },
    ...Array.from({ length: 8 }, () => ({ opcode: OP.fill, dst: DATA, len: 4096n, value: 7n })),
  ]);
  await machine.qtest.stepClock(1_000_000);
  await machine.waitForEvent('DEVICE_DELETED', ({ device }) => device === 'gpu0');
  await machine.qtest.stepClock(1_000_000);
  expect(await machine.qtest.read(DATA, 8)).toBe(0n);
  expect(await machine.faultEvents()).toEqual([]);
});

/** Where a second device is: beside the port's windows. */
const SECOND = { slot: 5, regs: 0xe200_0000n, msix: 0xe210_0000n, ring: 0x8_0000n } as const;

/** One fence with an interrupt, whose message writes `data` to `address`. */
async function setUpSecond({ qtest }: EdgpuMachine, address: bigint, data: number): Promise<void> {
  const pci = new PciFunction(qtest, SECOND.slot);
  await pci.setBar(edgpu('BAR_REGS'), SECOND.regs);
  await pci.setBar(edgpu('BAR_MSIX'), SECOND.msix);
  await pci.setCommand(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
  await pci.write(((await pci.findCapability(0x11)) ?? 0) + 2, 2, 0x8000);
  const entry = SECOND.msix + BigInt(edgpu('VECTOR_ENGINE') * 16);
  await qtest.write(entry, 4, address);
  await qtest.write(entry + 8n, 4, BigInt(data));
  await qtest.write(entry + 12n, 4, 0n);
  await qtest.write(SECOND.regs + BigInt(edgpu('REG_IRQ_ENABLE')), 4, 1n);
  await qtest.writeBytes(SECOND.ring, encodeCommand({ opcode: OP.fence, flags: FLAG.irq, value: 1n }));
  const register = (name: string): bigint => SECOND.regs + BigInt(edgpu('ENGINE_BASE') + edgpu(`ENG_${name}`));
  await qtest.write(register('RING_BASE'), 8, SECOND.ring);
  await qtest.write(register('RING_SIZE'), 4, 2n);
  await qtest.write(register('TAIL'), 4, 1n);
}

test('a device that is reset between its removal and its end is back, and stays', async ({ startMachine }) => {
  const extra = ['-device', `edgpu,id=gpu1,addr=${SECOND.slot}.0,vram-size=1M`];
  const machine = await startMachine({ hotPluggable: true, extra });
  await new PciFunction(machine.qtest, 0).write(0x60, 4, Number(ECAM) + 1);
  const control = ((await machine.port.findCapability(PCIE)) ?? 0) + SLTCTL;
  await machine.setUpRing(0);
  await machine.monitor.inject({ kind: 'unplug', engine: 0 });
  await machine.submit(0, [{ opcode: OP.nop }]);
  // In the same step of the clock, before QEMU comes to remove it: the other device takes the slot's power.
  await setUpSecond(machine, ECAM + (PORT_SLOT << 15n) + BigInt(control), POWER_OFF);
  await machine.qtest.stepClock(1000);
  await machine.execute('query-status');
  expect(machine.qmp.seen('EDGPU_INJECTED')).toHaveLength(1);
  expect(machine.qmp.seen('DEVICE_DELETED')).toEqual([]);
  await machine.port.write(control, 2, 0);
  await machine.placeBars();
  expect(await machine.readRegister('ID')).toBe(BigInt(edgpu('ID')));
  expect(await machine.readRegister('VRAM_GENERATION')).toBe(3n);
});

test('a device that no message can leave is refused with a sentence, as often as it is tried', async ({
  spawnMachine,
}) => {
  const before = ['-device', 'pcie-pci-bridge,id=bridge0,msi=off'];
  const machine = await spawnMachine({ empty: true, cpu: '-apic', before });
  const device = { driver: 'edgpu', id: 'gpu0', bus: 'bridge0', addr: '01.0' };
  for (let i = 0; i < 2; i++) await expect(machine.execute('device_add', device)).rejects.toThrow(/MSI-X/);
});
