/** What KVM needs of the AMD-V that the rig's QEMU emulates, by a guest of one or two instructions. */
import { writeFile } from 'node:fs/promises';
import { expect, vi } from 'vitest';
import { test } from '../../src/device/edgpu-machine.ts';

const DEADLINE_MS = 20_000;
const FIRMWARE_SIZE = 64 << 10;
const RESET_VECTOR = 0xfff0;
const JUMP_TO_F000_0000 = [0xea, 0x00, 0x00, 0x00, 0xf0];

/** Where things are in memory. Real mode has the table of its interrupts at 0. */
const DONE = 0x500;
const STACK = 0x800;
const GUEST = 0x1000;
const HANDLER = 0x1010;
const HOST_SAVE_AREA = 0x2000;
const VMCB = 0x3000;
const PAGE_DIRECTORY = 0x4000;

const UD2 = [0x0f, 0x0b];
const VMMCALL = [0x0f, 0x01, 0xd9];
const PUT_INTO_EAX = [0x66, 0xb8];
const PUT_INTO_ECX = [0x66, 0xb9];
const CLEAR_EDX = [0x66, 0x31, 0xd2];
const RDMSR = [0x0f, 0x32];
const WRMSR = [0x0f, 0x30];
const VMRUN = [0x0f, 0x01, 0xd8];
const HLT = 0xf4;
/** LOCK INC of the four bytes at an address, in code of 16 bits. */
const LOCK_INC = [0xf0, 0x66, 0x67, 0xff, 0x05];
const MSR_EFER = 0xc000_0080;
const MSR_VM_HSAVE_PA = 0xc001_0117;

/** The firmware: switches protected mode and AMD-V on, runs the guest once, says so and halts. */
const RUN_GUEST = [
  ...[0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0], // CR0 |= PE
  ...[...PUT_INTO_ECX, ...word(MSR_EFER), ...RDMSR, 0x80, 0xcc, 0x10, ...WRMSR], // EFER |= SVME
  ...[...PUT_INTO_ECX, ...word(MSR_VM_HSAVE_PA), ...PUT_INTO_EAX, ...word(HOST_SAVE_AREA), ...CLEAR_EDX, ...WRMSR],
  ...[...PUT_INTO_EAX, ...word(VMCB), ...VMRUN],
  ...[0xc6, 0x06, DONE & 0xff, DONE >> 8, 0x01, HLT],
];

/** Fields of the VMCB by their offsets. Of each, 32 bits are enough here. */
const FIELD = {
  interceptedExceptions: 0x08,
  interceptedInstructions: 0x10,
  asid: 0x58,
  exitCode: 0x70,
  exitIntInfo: 0x88,
  eventInj: 0xa8,
  idtLimit: 0x484,
  efer: 0x4d0,
  cr4: 0x548,
  cr3: 0x550,
  cr0: 0x558,
  dr7: 0x560,
  dr6: 0x568,
  rflags: 0x570,
  rip: 0x578,
  rsp: 0x5d8,
} as const;
type Vmcb = Partial<Record<keyof typeof FIELD, number>>;

const DATA_SEGMENTS = [0x400, 0x420, 0x430];
const CODE_SEGMENT = 0x410;

const SVME = 0x1000;
/** VMRUN, which has to be, and VMMCALL, which is how the guest ends. */
const INTERCEPTED_INSTRUCTIONS = 0b11;
/** The bit that is always set. */
const NO_FLAG = 0x2;
const REAL_MODE: Vmcb = {
  interceptedInstructions: INTERCEPTED_INSTRUCTIONS,
  asid: 1,
  idtLimit: 0x3ff,
  efer: SVME,
  cr0: 0x10,
  dr7: 0x400,
  dr6: 0xffff_0ff0,
  rflags: NO_FLAG,
  rip: GUEST,
  rsp: STACK,
};

const PE = 1;
const PG = 0x8000_0000;
const PSE = 0x10;
/** A page of 4 MiB that is present and may be written to. */
const LARGE_PAGE = 0x83;
const LARGE_PAGE_SIZE = 4 << 20;
const CF = 1;

const EXIT_GP = 0x4d;
const EXIT_PF = 0x4e;
const EXIT_VMMCALL = 0x81;
const UD = 6;
const GP = 13;
const PF = 14;
/** An interrupt of a device. */
const VECTOR = 0x20;
const EXCEPTION = 0x300;
const VALID = 0x8000_0000;

/** The guest's first instruction raises an exception, before which VMRUN delivers what is in `eventInj`. */
const EVENTS = [
  { name: 'an exception', eventInj: 0, event: VALID + EXCEPTION + UD },
  { name: 'an exception that VMRUN delivers', eventInj: VALID + EXCEPTION + UD, event: VALID + EXCEPTION + UD },
  { name: 'an interrupt that VMRUN delivers', eventInj: VALID + VECTOR, event: VALID + VECTOR },
] as const;

function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function encodeVmcb(fields: Vmcb): Buffer {
  const bytes = Buffer.alloc(4096);
  for (const segment of [CODE_SEGMENT, ...DATA_SEGMENTS]) {
    bytes.writeUInt16LE(segment === CODE_SEGMENT ? 0x9b : 0x93, segment + 2);
    bytes.writeUInt32LE(0xffff, segment + 4);
  }
  for (const [name, value] of Object.entries(fields)) bytes.writeUInt32LE(value, FIELD[name as keyof Vmcb]);
  return bytes;
}

type Exit = Required<Pick<Vmcb, 'exitCode' | 'exitIntInfo' | 'eventInj' | 'rflags'>>;

/** Runs the guest, and tells what the VMCB says after it. */
const svmTest = test.extend<{ runGuest: (fields: Vmcb, code?: readonly number[]) => Promise<Exit> }>({
  runGuest: async ({ startMachine, folder }, use) => {
    const firmware = new Uint8Array(FIRMWARE_SIZE);
    firmware.set(RUN_GUEST);
    firmware.set(JUMP_TO_F000_0000, RESET_VECTOR);
    await writeFile(`${folder}/firmware`, firmware);
    // Beside another processor, which is never started, a locked instruction across pages is executed alone.
    const extra = ['-smp', '2', '-bios', `${folder}/firmware`, '-S'];
    const machine = await startMachine({ accel: 'tcg', cpu: '+svm', extra });
    const { qtest } = machine;
    const field = async (name: keyof Vmcb) => Number(await qtest.read(BigInt(VMCB + FIELD[name]), 4));
    await use(async (fields, code = UD2) => {
      await qtest.writeBytes(BigInt(GUEST), Uint8Array.from(code));
      await qtest.writeBytes(BigInt(HANDLER), Uint8Array.from(VMMCALL));
      for (const vector of [UD, VECTOR]) await qtest.write(BigInt(4 * vector), 4, BigInt(HANDLER));
      await qtest.write(BigInt(PAGE_DIRECTORY), 4, BigInt(LARGE_PAGE));
      await qtest.writeBytes(BigInt(VMCB), encodeVmcb({ ...REAL_MODE, ...fields }));
      await machine.execute('cont');
      await vi.waitFor(async () => expect(await qtest.read(BigInt(DONE), 1)).toBe(1n), DEADLINE_MS);
      return {
        exitCode: await field('exitCode'),
        exitIntInfo: await field('exitIntInfo'),
        eventInj: await field('eventInj'),
        rflags: await field('rflags'),
      };
    });
  },
});

svmTest.for(EVENTS)('$name: a later exit knows nothing of it', async ({ eventInj }, { runGuest }) => {
  expect(await runGuest({ eventInj })).toMatchObject({ exitCode: EXIT_VMMCALL, exitIntInfo: 0, eventInj: 0 });
});

svmTest.for(EVENTS)(
  '$name: an exit in the middle of its delivery has it',
  async ({ eventInj, event }, { runGuest }) => {
    // There is no handler for it, and that fault leaves the guest.
    const left = await runGuest({ eventInj, idtLimit: 0, interceptedExceptions: 1 << GP });
    expect(left).toMatchObject({ exitCode: EXIT_GP, exitIntInfo: event, eventInj: 0 });
  },
);

svmTest('a locked instruction across pages that faults leaves the flags as they were', async ({ runGuest }) => {
  // The directory has nothing for the second page.
  const paging: Vmcb = { cr0: PG + PE, cr3: PAGE_DIRECTORY, cr4: PSE, interceptedExceptions: 1 << PF };
  const code = [...LOCK_INC, ...word(LARGE_PAGE_SIZE - 2)];
  const { exitCode, rflags } = await runGuest({ ...paging, rflags: NO_FLAG + CF }, code);
  expect({ exitCode, carry: rflags & CF }).toEqual({ exitCode: EXIT_PF, carry: CF });
});
