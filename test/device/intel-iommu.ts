/** Intel VT-d in legacy mode (section 9 of its specification), as far as QEMU needs it. */
import { DEVFN, tableIndex, type Iommu } from './iommu.ts';

const REGISTERS = 0xfed9_0000n;
const GLOBAL_COMMAND = REGISTERS + 0x18n;
const ROOT_TABLE = REGISTERS + 0x20n;
const SET_ROOT_TABLE = 1n << 30n;
const TRANSLATE = 1n << 31n;
const PRESENT = 1n;
const READ_WRITE = 3n;
const WIDTH_39_BITS = 1n;

const ROOT = 0x40_0000n;
const CONTEXT = 0x40_1000n;
const [TOP, MIDDLE, LAST] = [0x40_2000n, 0x40_3000n, 0x40_4000n] as const;

export const INTEL_IOMMU: Iommu = {
  option: () => 'intel-iommu,aw-bits=39',
  map: async ({ qtest }, mappings) => {
    const put = (table: bigint, index: bigint, entry: bigint) => qtest.write(table + 8n * index, 8, entry);
    await put(ROOT, 0n, CONTEXT | PRESENT);
    await put(CONTEXT, BigInt(2 * DEVFN), TOP | PRESENT);
    await put(CONTEXT, BigInt(2 * DEVFN + 1), WIDTH_39_BITS);
    for (const { iova, page, access } of mappings) {
      await put(TOP, tableIndex(iova, 3), MIDDLE | READ_WRITE);
      await put(MIDDLE, tableIndex(iova, 2), LAST | READ_WRITE);
      await put(LAST, tableIndex(iova, 1), page | BigInt(access));
    }
    await qtest.write(ROOT_TABLE, 8, ROOT);
    await qtest.write(GLOBAL_COMMAND, 4, SET_ROOT_TABLE);
    await qtest.write(GLOBAL_COMMAND, 4, TRANSLATE);
  },
};
