/** What can only be seen beside a processor, whose time runs by itself. */
import { writeFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { expect } from 'vitest';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import { encodeScatterList, FLAG, OP } from '../../src/device/edgpu-command.ts';
import { DATA, test } from '../../src/device/edgpu-machine.ts';

const ENGINES = [0, 1, 2, 3] as const;
const MIB = 1n << 20n;
const MEASURE_MS = 200;
const DEADLINE_MS = 20_000;

const FIRMWARE_SIZE = 64 << 10;
const RESET_VECTOR = 0xfff0;
const HLT = 0xf4;
/** Where the processor leaves what the code in VRAM has put into AL, in real mode. */
const RESULT = 0x500n;
const CALL_VRAM = [0x9a, 0x00, 0x00, 0x00, 0xa0];
const STORE_AL = [0xa2, 0x00, 0x05];
const JUMP_TO_START = [0xeb, 0xf6];
const JUMP_TO_F000_0000 = [0xea, 0x00, 0x00, 0x00, 0xf0];
const APERTURE_IN_REAL_MODE = 0xa_0000n;

/** Puts a number into AL and returns to another segment. */
const putIntoAl = (value: number): Uint8Array => Uint8Array.of(0xb0, value, 0xcb);

test('four engines at work leave the main loop at least half of its time', async ({ startMachine, folder }) => {
  // Time must run by itself, so there is a processor; it halts at its first instruction, wherever that is.
  await writeFile(`${folder}/firmware`, new Uint8Array(FIRMWARE_SIZE).fill(HLT));
  const extra = ['-bios', `${folder}/firmware`];
  const machine = await startMachine({ accel: 'tcg', device: 'engines=4', extra });
  const list = Array.from({ length: 160 }, () => ({ addr: DATA + MIB, len: 100n * MIB }));
  await machine.qtest.writeBytes(DATA, encodeScatterList(list));
  const short = { opcode: OP.fill, dst: DATA + MIB, len: 4096n };
  // More than any host does while this test looks.
  const long = { ...short, flags: FLAG.dstSg, dst: DATA, dstEntries: list.length, len: 16_000n * MIB };
  for (const engine of ENGINES) {
    await machine.setUpRing(engine);
    await machine.submit(engine, [short, long, long, long]);
  }
  // None has to wait until another is done.
  for (const engine of ENGINES) await waitUntil(async () => (await machine.readEngine(engine, 'HEAD')) > 0n);
  // From the end of a slice to the end of a later one, so that each has its rest in the time that is measured: on a
  // busy host a slice takes long.
  const start = await endOfSlice(() => machine.statistic('slice-ns'));
  await new Promise((resolve) => setTimeout(resolve, MEASURE_MS));
  const end = await endOfSlice(() => machine.statistic('slice-ns'));
  for (const engine of ENGINES) expect(await machine.isBusy(engine), `engine ${engine}`).toBe(true);
  expect(end.busyNs - start.busyNs).toBeLessThan(0.55 * (end.ms - start.ms) * 1e6);
});

async function endOfSlice(read: () => Promise<number>): Promise<{ busyNs: number; ms: number }> {
  const before = await read();
  let busyNs = before;
  await waitUntil(async () => (busyNs = await read()) > before);
  return { busyNs, ms: performance.now() };
}

async function waitUntil(reached: () => Promise<boolean>): Promise<void> {
  const start = performance.now();
  while (!(await reached())) {
    if (performance.now() - start > DEADLINE_MS) throw new Error(`This did not come true: ${String(reached)}`);
  }
}

test('code in VRAM that an engine overwrites is not run any more', async ({ startMachine, folder }) => {
  const firmware = new Uint8Array(FIRMWARE_SIZE).fill(HLT);
  firmware.set([...CALL_VRAM, ...STORE_AL, ...JUMP_TO_START]);
  firmware.set(JUMP_TO_F000_0000, RESET_VECTOR);
  await writeFile(`${folder}/firmware`, firmware);
  const extra = ['-bios', `${folder}/firmware`, '-S'];
  const machine = await startMachine({ accel: 'tcg', device: 'vram-size=1M,aperture-size=64K', extra });
  await machine.pci.setBar(edgpu('BAR_VRAM'), APERTURE_IN_REAL_MODE);
  const waitForResult = (value: bigint) => waitUntil(async () => (await machine.qtest.read(RESULT, 1)) === value);
  await machine.qtest.writeBytes(APERTURE_IN_REAL_MODE, putIntoAl(1));
  await machine.setUpRing(0);
  await machine.execute('cont');
  await waitForResult(1n);
  await machine.qtest.writeBytes(DATA, putIntoAl(2));
  await machine.submit(0, [{ opcode: OP.copy, flags: FLAG.dstVram, src: DATA, dst: 0n, len: 3n }]);
  await waitForResult(2n);
});
