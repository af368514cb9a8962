/**
 * How fast the device moves bytes, against the host's own memcpy() in the same run: it must not be the device that a
 * figure is about. And what a guest pays for reading a register.
 */
import { FLAG, OP, type Command } from '../device/edgpu-command.ts';
import { DATA, EdgpuMachine, RAM } from '../device/edgpu-machine.ts';
import { test } from '../testbed/fixtures.ts';
import { mmioReport, runProgram } from '../testbed/programs/stress-program.ts';

const MIB = 2 ** 20;
const LENGTH = 32 * MIB;
/** Enough of them for one figure to take some milliseconds. */
const COPIES = 4;
const SECOND_HALF = BigInt(LENGTH);
const VIRTUAL_SECOND = 1e9;

const directions: Readonly<Record<string, Omit<Command, 'opcode' | 'len'>>> = {
  'memory to VRAM': { flags: FLAG.dstVram, src: DATA, dst: 0n },
  'VRAM to memory': { flags: FLAG.srcVram, src: 0n, dst: DATA },
  'memory to memory': { src: DATA, dst: RAM.oneTiB.base },
  'VRAM to VRAM': { flags: FLAG.srcVram | FLAG.dstVram, src: 0n, dst: SECOND_HALF },
};

/** Bytes a second, in GB. */
async function rate(work: () => Promise<void> | void): Promise<number> {
  const start = performance.now();
  await work();
  return (COPIES * LENGTH) / 1e6 / (performance.now() - start);
}

async function copy(machine: EdgpuMachine, direction: Omit<Command, 'opcode' | 'len'>): Promise<number> {
  await machine.setUpRing(0);
  const command = { opcode: OP.copy, len: BigInt(LENGTH), ...direction };
  await machine.submit(
    0,
    Array.from({ length: COPIES }, () => command),
  );
  const rateSeen = await rate(() => machine.qtest.stepClock(VIRTUAL_SECOND));
  if (await machine.isBusy(0)) throw new Error('The engine was not done in a second of virtual time');
  return rateSeen;
}

test('copies', async ({ rounds, report }) => {
  const machine = await EdgpuMachine.start({ device: 'vram-size=64M,dma-bits=64' });
  const [from, to] = [Buffer.alloc(LENGTH, 1), Buffer.alloc(LENGTH, 2)];
  const memcpy = () => rate(() => void Array.from({ length: COPIES }, () => from.copy(to)));
  try {
    for (const [quantity, direction] of Object.entries(directions)) {
      const samples = { edgpu: [] as number[], memcpy: [] as number[] };
      // The first of each finds pages that nobody has touched.
      await copy(machine, direction);
      for (let round = 0; round < 3 * rounds; round++) {
        samples.edgpu.push(await copy(machine, direction));
        samples.memcpy.push(await memcpy());
      }
      report({ quantity, unit: 'GB/s', better: 'more', samples, aim: '≥ 0.8× memcpy' });
    }
  } finally {
    await machine.end();
  }
});

const READS = 200_000;

test('registers', async ({ guest, rounds, report }) => {
  const samples = { edgpu: [] as number[], memory: [] as number[] };
  for (let round = 0; round < 3 * rounds; round++) {
    const run = { name: 'mmio', options: { reads: READS }, report: mmioReport, deadlineMs: 60_000 };
    const { registerNs, memoryNs } = await runProgram(guest, run);
    samples.edgpu.push(registerNs / READS);
    samples.memory.push(memoryNs / READS);
  }
  report({ quantity: 'a read', unit: 'ns', better: 'less', samples });
});
