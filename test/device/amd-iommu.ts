/** An AMD IOMMU, as the AMD I/O Virtualization Technology specification has its registers and tables. */
import type { EdgpuMachine } from '../../src/device/edgpu-machine.ts';
import { DEVFN, tableIndex, type Iommu } from './iommu.ts';

const REGISTERS = 0xfed8_0000n;
const COMMAND_BASE = REGISTERS + 0x8n;
const CONTROL = REGISTERS + 0x18n;
const COMMAND_TAIL = REGISTERS + 0x2008n;
const ENABLE = 1n;
const RUN_COMMANDS = 1n << 12n;
const INVALIDATE_DEVICE_ENTRY = 2n << 60n;
const VALID = 1n;
const TRANSLATED = 1n << 1n;
const PRESENT = 1n;
const READ_WRITE = access(3);
const level = (next: number): bigint => BigInt(next) << 9n;

const DEVICES = 0x40_0000n;
const COMMANDS = 0x41_0000n;
const [TOP, MIDDLE, LAST] = [0x40_2000n, 0x40_3000n, 0x40_4000n] as const;

export const AMD_IOMMU: Iommu = {
  option: async (start) => ((await translatesOnRequest(start)) ? 'amd-iommu,dma-remap=on' : 'amd-iommu'),
  map: async ({ qtest }, mappings) => {
    const put = (address: bigint, entry: bigint) => qtest.write(address, 8, entry);
    await put(DEVICES + 32n * BigInt(DEVFN), VALID | TRANSLATED | level(3) | TOP | READ_WRITE);
    for (const { iova, page, access: allowed } of mappings) {
      await put(TOP + 8n * tableIndex(iova, 3), PRESENT | level(2) | MIDDLE | READ_WRITE);
      await put(MIDDLE + 8n * tableIndex(iova, 2), PRESENT | level(1) | LAST | READ_WRITE);
      await put(LAST + 8n * tableIndex(iova, 1), PRESENT | page | access(allowed));
    }
    await put(REGISTERS, DEVICES);
    // Told that the entry changed, as the specification wants it: later series look at it only then.
    await put(COMMAND_BASE, COMMANDS | (8n << 56n));
    await put(COMMANDS, INVALIDATE_DEVICE_ENTRY | BigInt(DEVFN));
    await put(COMMANDS + 8n, 0n);
    await put(CONTROL, ENABLE | RUN_COMMANDS);
    await put(COMMAND_TAIL, 16n);
  },
};

/** Bits 61 and 62 of an entry: 1 read, 2 write. */
function access(allowed: 1 | 2 | 3): bigint {
  return BigInt(allowed) << 61n;
}

/** Later series translate DMA only when they are asked to. */
async function translatesOnRequest(start: () => Promise<EdgpuMachine>): Promise<boolean> {
  const machine = await start();
  const properties = (await machine.execute('device-list-properties', { typename: 'amd-iommu' })) as { name: string }[];
  await machine.end();
  return properties.some(({ name }) => name === 'dma-remap');
}
