/** Coming and going while the machine runs. */
import { expect } from 'vitest';
import { OP } from '../../src/device/edgpu-command.ts';
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
