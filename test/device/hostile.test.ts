/** A guest that means harm: whatever it writes, QEMU lives, ends each slice, and the device works after a reset. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { edgpu } from '../../src/device/edgpu-constants.ts';
import { OP } from '../../src/device/edgpu-command.ts';
import { hostileSlot, interesting, type HostileSlot } from './hostile-commands.ts';
import { APERTURE_SIZE, DATA, ringBase, test, VRAM_SIZE, type EdgpuMachine } from '../../src/device/edgpu-machine.ts';
import { RigError } from '../../src/util/rig-error.ts';
import { propertyRuns, propertyTimeoutMs, tellVolume } from './property-runs.ts';

const PM = 0x01;
const MAX_SLICES = 64;

type Action =
  | { readonly kind: 'slots'; readonly engine: number; readonly slots: readonly HostileSlot[]; readonly steps: number }
  | { readonly kind: 'memory'; readonly address: bigint; readonly bytes: Uint8Array }
  | { readonly kind: 'register'; readonly offset: number; readonly size: 1 | 2 | 4 | 8; readonly value: bigint }
  | { readonly kind: 'step' }
  | { readonly kind: 'reset'; readonly engine: number }
  | { readonly kind: 'command'; readonly bits: number }
  | { readonly kind: 'power'; readonly state: number }
  | { readonly kind: 'dma-bits'; readonly bits: number }
  | { readonly kind: 'config'; readonly offset: number; readonly size: 1 | 2 | 4; readonly value: number }
  | { readonly kind: 'aperture'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'msix'; readonly offset: number; readonly size: 1 | 2 | 4 | 8; readonly value: bigint }
  | { readonly kind: 'inject'; readonly failures: unknown }
  | { readonly kind: 'clear' }
  | { readonly kind: 'look'; readonly display: readonly bigint[] }
  | { readonly kind: 'throttle'; readonly property: string; readonly value: number };

const engine = fc.nat(1);

/** Members of a failure: most of them in order, some of them not quite, some of another kind. */
const members = fc.record(
  {
    at: fc.constantFrom(1, 2, 9, 0),
    engine: fc.constantFrom(0, 1, 2, 0xffff_ffff),
    vector: fc.constantFrom(1, 3),
    ns: fc.constantFrom(1, 1_000_000, 99_999_999_999_999),
    offset: fc.constantFrom(0, VRAM_SIZE - 1, VRAM_SIZE),
    bit: fc.constantFrom(7, 8),
  },
  { requiredKeys: [] },
);
const KINDS = {
  hang: ['at', 'engine'],
  error: ['at', 'engine'],
  delay: ['at', 'engine', 'ns'],
  flip: ['at', 'engine', 'offset', 'bit'],
  'drop-irq': ['at', 'vector'],
  dead: ['at', 'engine'],
  unplug: ['at', 'engine'],
} as const;
const failure = fc
  .tuple(fc.constantFrom(...(Object.keys(KINDS) as (keyof typeof KINDS)[])), members, fc.nat(9))
  .map(([kind, all, luck]) => {
    const own = Object.entries(all).filter(([name]) => luck === 0 || KINDS[kind].some((known) => known === name));
    return { kind, ...Object.fromEntries(own) };
  });
const failures = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom<unknown>(
      [{ kind: 'hang' }],
      [{ kind: 'error' }],
      [{ kind: 'delay', ns: 1500 }],
      [{ kind: 'flip', offset: 7 }],
      [{ kind: 'drop-irq', at: 2 }],
      [{ kind: 'dead', at: 3 }],
    ),
  },
  { weight: 4, arbitrary: fc.array(failure, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.jsonValue() },
);

const registers = fc.oneof(
  fc.nat(0x30),
  fc.nat(0x3f).map((offset) => edgpu('ENGINE_BASE') + offset),
  fc.nat(0x3f).map((offset) => edgpu('ENGINE_BASE') + edgpu('ENGINE_STRIDE') + offset),
  fc.nat(0x2f).map((offset) => edgpu('DISPLAY_BASE') + offset),
  fc.nat(edgpu('REGS_SIZE') - 8),
);

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('slots' as const),
      engine,
      slots: fc.array(hostileSlot, { minLength: 1, maxLength: 12, size: 'max' }),
      // Sometimes none: what comes next finds the engine at work.
      steps: fc.nat(16),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('memory' as const),
      address: fc.oneof(
        fc.constantFrom(ringBase(0), ringBase(1), DATA),
        fc.bigInt({ min: 0x10_0000n, max: 1n << 24n }),
      ),
      bytes: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 512 }),
        hostileSlot.map(({ bytes }) => bytes),
      ),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('register' as const),
      offset: registers,
      size: fc.constantFrom(1, 2, 4, 8),
      value: fc.oneof(fc.bigInt({ min: 0n, max: 64n }), interesting),
    }),
  },
  { weight: 5, arbitrary: fc.constant({ kind: 'step' as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('reset' as const), engine }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('command' as const), bits: fc.nat(0x7) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('power' as const), state: fc.nat(3) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('dma-bits' as const), bits: fc.integer({ min: 0, max: 70 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('config' as const),
      offset: fc.oneof(fc.nat(0x4f), fc.nat(0xff)),
      size: fc.constantFrom(1, 2, 4),
      value: fc.oneof(fc.nat(0xff), fc.constantFrom(0x8000, 0xffff, 0xffff_ffff), fc.nat(0xffff_ffff)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('aperture' as const),
      offset: fc.oneof(fc.nat(APERTURE_SIZE - 64), fc.constant(APERTURE_SIZE - 64)),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 64 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('msix' as const),
      offset: fc.oneof(fc.nat(0x50), fc.nat(0xff8)),
      size: fc.constantFrom(1, 2, 4, 8),
      value: interesting,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('inject' as const), failures }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'clear' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('look' as const),
      display: fc.oneof(
        {
          weight: 3,
          arbitrary: fc.tuple(
            fc.constantFrom(1n, 8n, 64n),
            fc.constantFrom(1n, 8n),
            fc.constantFrom(256n, 260n),
            fc.constantFrom(0n, 0n, 1n, 3n),
            fc.constantFrom(DATA, ringBase(0)),
          ),
        },
        { weight: 1, arbitrary: fc.tuple(interesting, interesting, interesting, interesting, interesting) },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('throttle' as const),
      property: fc.constantFrom('bandwidth', 'latency-ns'),
      value: fc.oneof(fc.constantFrom(0, 1, 1 << 16, 1 << 30), fc.nat(2 ** 53 - 1)),
    }),
  },
);

/** The clock stops at each timer, so this ends after as many slices. */
async function stepSlices(machine: EdgpuMachine, slices: number): Promise<void> {
  await Promise.all(Array.from({ length: slices }, () => machine.qtest.stepClock(1000)));
}

/** Whatever the host asks for that may be refused. */
async function unlessRefused(asked: Promise<unknown>): Promise<void> {
  await asked.catch((error: unknown) => {
    if (!(error instanceof RigError) || error.failureClass === 'timeout') throw error;
  });
}

/** Fills the registers of the display in this order, and looks at the picture, which QEMU writes to nowhere. */
async function look(machine: EdgpuMachine, values: readonly bigint[]): Promise<void> {
  for (const [index, name] of ['WIDTH', 'HEIGHT', 'STRIDE', 'NENTS'].entries()) {
    await machine.writeDisplay(name, (values[index] ?? 0n) & 0xffff_ffffn);
  }
  await machine.writeDisplay('BASE', values.at(-1) ?? 0n, 8);
  await machine.writeDisplay('CONTROL', 1n);
  await machine.execute('screendump', { filename: '/dev/null' });
}

async function act(machine: EdgpuMachine, pm: number, one: Action): Promise<void> {
  switch (one.kind) {
    case 'slots':
      await machine.setUpRing(one.engine);
      for (const { address, bytes } of one.slots.flatMap(({ lists }) => lists)) {
        await machine.qtest.writeBytes(address, bytes);
      }
      await machine.submitRaw(
        one.engine,
        one.slots.map(({ bytes }) => bytes),
      );
      return stepSlices(machine, one.steps);
    case 'memory':
      return machine.qtest.writeBytes(one.address, one.bytes);
    case 'register':
      await machine.writeRegsBar(one.offset, one.size, one.value & ((1n << BigInt(8 * one.size)) - 1n));
      await machine.readRegsBar(one.offset, one.size);
      return;
    case 'step':
      return stepSlices(machine, MAX_SLICES);
    case 'reset':
      return machine.writeEngine(one.engine, 'CONTROL', BigInt(edgpu('CONTROL_RESET')));
    case 'command':
      return machine.pci.setCommand(one.bits);
    case 'power':
      return machine.pci.write(pm + 4, 2, one.state);
    case 'dma-bits':
      return unlessRefused(machine.set('dma-bits', one.bits));
    case 'config':
      await machine.pci.write(one.offset, one.size, one.value);
      await machine.pci.read(one.offset, one.size);
      return;
    case 'aperture':
      await machine.writeVram(one.offset, one.bytes);
      await machine.readVram(one.offset, one.bytes.length);
      return;
    case 'msix':
      await machine.writeMsixBar(one.offset, one.size, one.value & ((1n << BigInt(8 * one.size)) - 1n));
      return;
    case 'inject':
      return unlessRefused(machine.execute('edgpu-inject', { path: machine.monitor.path, failures: one.failures }));
    case 'clear':
      return machine.monitor.clearFailures();
    case 'look':
      return look(machine, one.display);
    case 'throttle':
      return unlessRefused(machine.set(one.property, one.value));
  }
}

test('a hostile guest gets faults, and nothing else', { timeout: propertyTimeoutMs() }, async ({ startMachine }) => {
  const machine = await startMachine({ device: 'display=on' });
  const pm = (await machine.pci.findCapability(PM)) ?? 0;
  const { numRuns, ...parameters } = propertyRuns(60);
  let actionCount = 0;
  const property = fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 30, size: 'max' }), async (actions) => {
    actionCount += actions.length;
    for (const one of actions) await act(machine, pm, one);
    // Whatever state that left: back to D0, a reset of the engine, and it must work.
    await machine.set('dma-bits', 40);
    await machine.monitor.clearFailures();
    await machine.set('bandwidth', 0);
    await machine.set('latency-ns', 0);
    await machine.pci.write(pm + 4, 2, 0);
    await machine.placeBars();
    await machine.setUpRing(0);
    await machine.setUpRing(1);
    await machine.run(0, [{ opcode: OP.fence, value: 0x600dn }]);
    expect(await machine.readEngine(0, 'FENCE', 8)).toBe(0x600dn);
    await machine.writeEngine(0, 'CONTROL', 1n);
    await machine.writeEngine(1, 'CONTROL', 1n);
  });
  await fc.assert(property, { numRuns, ...parameters });
  const { commands, faults, frames, injected } = await machine.monitor.statistics();
  tellVolume({ runs: numRuns, actions: actionCount, 'commands done': commands, faults, frames, injections: injected });
  // Both must happen: an engine that stops at its first command has seen nothing.
  expect(commands).toBeGreaterThan(numRuns * 1.5);
  expect(faults).toBeGreaterThan(numRuns / 10);
  expect(frames).toBeGreaterThan(numRuns / 10);
  // One more event, long after the flood, tells how many there was none for.
  await machine.qtest.stepClock(2_000_000_000);
  await machine.writeEngine(0, 'TAIL', 0xffffn);
  const told = (await machine.faultEvents()).map(({ suppressed = 0 }) => 1 + Number(suppressed));
  expect(told.reduce((all, one) => all + one, 0)).toBe(await machine.statistic('faults'));
});
