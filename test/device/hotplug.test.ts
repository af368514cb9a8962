/** Coming and going while the machine runs. */
import { expect } from 'vitest';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import { FLAG, OP } from '../../src/device/edgpu-command.ts';
import { PciFunction } from '../../src/device/qtest.ts';
import { DATA, test } from '../../src/device/edgpu-machine.ts';

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

test('a device that no message can leave is refused with a sentence, as often as it is tried', async ({
  spawnMachine,
}) => {
  const before = ['-device', 'pcie-pci-bridge,id=bridge0,msi=off'];
  const machine = await spawnMachine({ empty: true, cpu: '-apic', before });
  const device = { driver: 'edgpu', id: 'gpu0', bus: 'bridge0', addr: '01.0' };
  for (let i = 0; i < 2; i++) await expect(machine.execute('device_add', device)).rejects.toThrow(/MSI-X/);
});
