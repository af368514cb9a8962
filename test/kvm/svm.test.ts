/** What KVM needs of the AMD-V that the rig's QEMU emulates, by guests of one or two instructions. */
import { writeFile } from 'node:fs/promises';
import { expect, vi } from 'vitest';
import { test } from '../../src/device/edgpu-machine.ts';

const DEADLINE_MS = 20_000;
/** Of a guest that runs again and again. Without the fix a thousand to fifteen thousand were enough to fail. */
const ROUNDS = 50_000;
const FIRMWARE_SIZE = 64 << 10;
const RESET_VECTOR = 0xfff0;

/** Where things are in memory. Real mode has the table of its interrupts at 0. */
const DONE = 0x500;
const OTHER_RUNS = 0x501;
const ROUNDS_LEFT = 0x508;
const FPU_ENVIRONMENT = 0x600;
const STACK = 0x800;
const GUEST = 0x1000;
const HANDLER = 0x1010;
const HOST_SAVE_AREA = 0x2000;
const VMCB = 0x3000;
/** With PAE: a directory's pointer, a directory, a table. */
const PAGE_TABLES = 0x4000;
const NESTED_PAGE_TABLES = 0xa000;
/** The code of the other processor: a startup IPI has it as the number of a page. */
const OTHER = 0x7000;
const HOST = 0x8000;

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

/** Fields of the VMCB by their offsets. Of each, 32 bits are enough here. */
const FIELD = {
  interceptedExceptions: 0x08,
  interceptedInstructions: 0x10,
  asid: 0x58,
  exitCode: 0x70,
  exitIntInfo: 0x88,
  nestedControl: 0x90,
  eventInj: 0xa8,
  nestedCr3: 0xb0,
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
const PAE = 0x20;
const PRESENT = 1;
/** Of a page that is present and may be written to, by all. */
const PAGE = 0x7;
/** The same of 2 MiB. */
const LARGE_PAGE = 0x87;
const LARGE_PAGE_SIZE = 2 << 20;
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

/** The firmware has nothing but a jump to what the test has written into memory. */
const JUMP_TO_HOST = [0xea, HOST & 0xff, HOST >> 8, 0x00, 0x00];

/** Switches protected mode and AMD-V on. */
const ENABLE_SVM = [
  ...[0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0], // CR0 |= PE
  ...[...PUT_INTO_ECX, ...word(MSR_EFER), ...RDMSR, 0x80, 0xcc, 0x10, ...WRMSR], // EFER |= SVME
  ...[...PUT_INTO_ECX, ...word(MSR_VM_HSAVE_PA), ...PUT_INTO_EAX, ...word(HOST_SAVE_AREA), ...CLEAR_EDX, ...WRMSR],
];
const RUN_GUEST = [...PUT_INTO_EAX, ...word(VMCB), ...VMRUN];
/** Runs it until it leaves by something else than VMMCALL, or so many times as it says at ROUNDS_LEFT. */
const RUN_GUEST_AGAIN = [
  ...RUN_GUEST,
  ...[0x66, 0x81, 0x3e, ...half(VMCB + FIELD.exitCode), ...word(EXIT_VMMCALL), 0x75, 0x07],
  ...[0x66, 0xff, 0x0e, ...half(ROUNDS_LEFT), 0x75, 0xe5],
];
const ENABLE_PAGING = [
  ...[...PUT_INTO_EAX, ...word(PAGE_TABLES), 0x0f, 0x22, 0xd8], // CR3
  ...[0x0f, 0x20, 0xe0, 0x0c, PAE, 0x0f, 0x22, 0xe0], // CR4 |= PAE
  ...[0x0f, 0x20, 0xc0, 0x66, 0x0d, ...word(PG), 0x0f, 0x22, 0xc0], // CR0 |= PG
];
/** By a startup IPI of its local APIC; then waits until it runs. */
const START_OTHER = [
  ...[0x66, 0x67, 0xc7, 0x05, ...word(0xfee0_0300), ...word(0xc_4600 + (OTHER >> 12))],
  ...[0x80, 0x3e, ...half(OTHER_RUNS), 0x01, 0x75, 0xf9],
];
/** The other processor says that it runs, and loads the environment of its FPU for ever. */
const LOAD_FPU = [0xc6, 0x06, ...half(OTHER_RUNS), 0x01, 0xd9, 0x26, ...half(FPU_ENVIRONMENT), 0xeb, 0xfa];
const SAY_DONE = [0xc6, 0x06, ...half(DONE), 0x01, HLT];

/** The guest's first instruction raises an exception, before which VMRUN delivers what is in `eventInj`. */
const EVENTS = [
  { name: 'an exception', eventInj: 0, event: VALID + EXCEPTION + UD },
  { name: 'an exception that VMRUN delivers', eventInj: VALID + EXCEPTION + UD, event: VALID + EXCEPTION + UD },
  { name: 'an interrupt that VMRUN delivers', eventInj: VALID + VECTOR, event: VALID + VECTOR },
] as const;

interface Programs {
  readonly host?: readonly number[];
  readonly guest?: readonly number[];
}

function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function half(value: number): Uint8Array {
  return word(value).subarray(0, 2);
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
const svmTest = test.extend<{ runGuest: (fields: Vmcb, programs?: Programs) => Promise<Exit> }>({
  runGuest: async ({ startMachine, folder }, use) => {
    const firmware = new Uint8Array(FIRMWARE_SIZE);
    firmware.set(JUMP_TO_HOST, RESET_VECTOR);
    await writeFile(`${folder}/firmware`, firmware);
    const extra = ['-smp', '2', '-bios', `${folder}/firmware`, '-S'];
    const machine = await startMachine({ accel: 'tcg', cpu: '+svm', extra });
    const { qtest } = machine;
    const put = (address: number, bytes: Iterable<number>) => qtest.writeBytes(BigInt(address), Uint8Array.from(bytes));
    const field = async (name: keyof Vmcb) => Number(await qtest.read(BigInt(VMCB + FIELD[name]), 4));
    await use(async (fields, { host = RUN_GUEST, guest = UD2 } = {}) => {
      await put(HOST, [...ENABLE_SVM, ...host, ...SAY_DONE]);
      await put(OTHER, LOAD_FPU);
      await put(GUEST, guest);
      await put(HANDLER, VMMCALL);
      for (const vector of [UD, VECTOR]) await put(4 * vector, word(HANDLER));
      await put(PAGE_TABLES, word(PAGE_TABLES + 0x1000 + PRESENT));
      await put(PAGE_TABLES + 0x1000, word(LARGE_PAGE));
      await put(NESTED_PAGE_TABLES, word(NESTED_PAGE_TABLES + 0x1000 + PRESENT));
      await put(NESTED_PAGE_TABLES + 0x1000, word(NESTED_PAGE_TABLES + 0x2000 + PAGE));
      await put(NESTED_PAGE_TABLES + 0x2000 + 8 * (GUEST >> 12), word(GUEST + PAGE));
      await put(ROUNDS_LEFT, word(ROUNDS));
      await put(VMCB, encodeVmcb({ ...REAL_MODE, ...fields }));
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
  // Beside another processor, be it halted, it is executed alone. The directory has nothing for the second page.
  const paging: Vmcb = { cr0: PG + PE, cr3: PAGE_TABLES, cr4: PAE, interceptedExceptions: 1 << PF };
  const guest = [...LOCK_INC, ...word(LARGE_PAGE_SIZE - 2)];
  const { exitCode, rflags } = await runGuest({ ...paging, rflags: NO_FLAG + CF }, { guest });
  expect({ exitCode, carry: rflags & CF }).toEqual({ exitCode: EXIT_PF, carry: CF });
});

svmTest('what another processor does to its FPU leaves nested paging off after a #VMEXIT', async ({ runGuest }) => {
  // For the guest there is its page alone. A host that went on with nested paging would leave as a guest, by a fault.
  const nested: Vmcb = { nestedControl: 1, nestedCr3: NESTED_PAGE_TABLES };
  const host = [...START_OTHER, ...ENABLE_PAGING, ...RUN_GUEST_AGAIN];
  expect(await runGuest(nested, { host, guest: VMMCALL })).toMatchObject({ exitCode: EXIT_VMMCALL });
});
