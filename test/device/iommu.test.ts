/** Behind a vIOMMU of any kind: translated accesses arrive, refused ones are faults of their own kind. */
import { readFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { AMD_IOMMU } from './amd-iommu.ts';
import { FAULT, FLAG, OP, pattern, type Command } from '../../src/device/edgpu-command.ts';
import { DATA, ringBase, test, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';
import { INTEL_IOMMU } from './intel-iommu.ts';
import type { Iommu, Mapping } from './iommu.ts';
import { VIRTIO_IOMMU } from './virtio-iommu.ts';

const IOVA = 0x12_3460_0000n;
const PAGE = 4096n;
const RING = IOVA;
const READABLE = IOVA + PAGE;
const WRITABLE = IOVA + 2n * PAGE;
const BOTH = IOVA + 3n * PAGE;
const ABSENT = IOVA + 4n * PAGE;
const TO_A_HOLE = IOVA + 5n * PAGE;

const SOURCE = DATA + 0x40_0000n;
const TARGET = SOURCE + PAGE;
const OTHER_TARGET = SOURCE + 3n * PAGE;
const CONTENT = pattern(16384);

const MAPPINGS: readonly Mapping[] = [
  { iova: RING, page: ringBase(0), access: 3 },
  { iova: READABLE, page: SOURCE, access: 1 },
  { iova: WRITABLE, page: TARGET, access: 2 },
  { iova: BOTH, page: OTHER_TARGET, access: 3 },
  { iova: TO_A_HOLE, page: 0x60_0000_0000n, access: 3 },
];

const copy = (src: bigint, dst: bigint, len = PAGE): Command => ({ opcode: OP.copy, src, dst, len });

const REFUSED = [
  { title: 'an unmapped page', command: copy(ABSENT, BOTH), kind: FAULT.iommu, address: ABSENT },
  { title: 'reading a page that is write-only', command: copy(WRITABLE, BOTH), kind: FAULT.iommu, address: WRITABLE },
  { title: 'writing a page that is read-only', command: copy(BOTH, READABLE), kind: FAULT.iommu, address: READABLE },
  { title: 'the second page of an access', command: copy(READABLE, BOTH + 1000n), kind: FAULT.iommu, address: ABSENT },
  { title: 'an address beyond the tables', command: copy(1n << 39n, BOTH), kind: FAULT.iommu, address: 1n << 39n },
  { title: 'a mapping to nothing', command: copy(TO_A_HOLE, BOTH), kind: FAULT.dmaHole, address: TO_A_HOLE },
  {
    title: 'a write-back to an unmapped page',
    command: { opcode: OP.fence, flags: FLAG.writeback, dst: ABSENT, value: 1n },
    kind: FAULT.iommu,
    address: ABSENT,
  },
];

const IOMMUS = { Intel: INTEL_IOMMU, AMD: AMD_IOMMU, virtio: VIRTIO_IOMMU };

describe.for(Object.entries(IOMMUS))('%s', ([, iommu]) => {
  test('translated accesses reach the page that is mapped', async ({ startMachine }) => {
    const machine = await startBehind(iommu, startMachine);
    await machine.run(0, [copy(READABLE, BOTH), copy(BOTH, WRITABLE)]);
    expect(await machine.fault(0)).toEqual({ kind: FAULT.none, slot: 0, address: 0n });
    for (const target of [TARGET, OTHER_TARGET]) {
      const arrived = await machine.qtest.readBytes(target, 4096);
      expect(Buffer.compare(arrived, CONTENT.subarray(0, 4096))).toBe(0);
    }
    // What counts is the address that the device put on the bus.
    expect(await machine.statistic('max-dma-address')).toBe(Number(BOTH + PAGE - 1n));
  });

  test.for(REFUSED)('$title is a fault at its first byte', async ({ command, kind, address }, { startMachine }) => {
    const machine = await startBehind(iommu, startMachine);
    await machine.run(0, [command]);
    expect(await machine.fault(0)).toEqual({ kind, slot: 0, address });
    expect(await machine.faultEvents()).toMatchObject([{ kind: kind === FAULT.iommu ? 'iommu' : 'dma-hole' }]);
  });

  test('a result that crosses into a page that is refused is written in part', async ({ startMachine }) => {
    const machine = await startBehind(iommu, startMachine);
    const dst = BOTH + PAGE - 4n;
    await machine.run(0, [{ opcode: OP.fence, flags: FLAG.writeback, dst, value: 0x1122_3344_5566_7788n }]);
    expect(await machine.fault(0)).toEqual({ kind: FAULT.iommu, slot: 0, address: ABSENT });
    expect(await machine.qtest.read(OTHER_TARGET + PAGE - 4n, 4)).toBe(0x5566_7788n);
    expect(await machine.readEngine(0, 'FENCE', 8)).toBe(0n);
  });

  test('the limit is one of the bus, before translation', async ({ startMachine }) => {
    const machine = await startBehind(iommu, startMachine);
    await machine.set('dma-bits', 36);
    await machine.setUpRing(0, 64, RING);
    await machine.run(0, [copy(READABLE, BOTH)]);
    expect(await machine.fault(0)).toEqual({ kind: FAULT.dmaLimit, slot: 0, address: RING });
  });
});

describe('an access', () => {
  const asked = async (log: string, iova: bigint): Promise<number> => {
    const text = await readFile(log, 'utf8');
    return text.split('\n').filter((line) => line.includes(`addr=0x${iova.toString(16)} `)).length;
  };

  test.for([
    ['that is made', BOTH, BOTH + 100n],
    ['that is refused', ABSENT, BOTH],
    ['whose second page is refused', READABLE, BOTH],
    ['whose result is refused', BOTH, ABSENT],
  ] as const)('%s asks the vIOMMU once for each page', async ([, src, dst], { startMachine, folder }) => {
    const log = `${folder}/trace`;
    const extra = ['-trace', 'virtio_iommu_translate', '-D', log];
    const machine = await startBehind(VIRTIO_IOMMU, (options) => startMachine({ ...options, extra }));
    const len = src === READABLE ? 3n * PAGE : 64n;
    await machine.run(0, [{ opcode: OP.checksum, src, dst, len }]);
    await machine.end();
    expect(await asked(log, src)).toBe(1);
    if (src === READABLE) expect(await asked(log, WRITABLE)).toBe(1);
    if (src === BOTH) expect(await asked(log, dst)).toBe(1);
  });
});

async function startBehind(
  { option, map }: Iommu,
  start: (options?: object) => Promise<EdgpuMachine>,
): Promise<EdgpuMachine> {
  const machine = await start({ before: ['-device', await option(start)] });
  await map(machine, MAPPINGS);
  await machine.setUpRing(0, 64, RING);
  await machine.qtest.writeBytes(SOURCE, CONTENT);
  return machine;
}
