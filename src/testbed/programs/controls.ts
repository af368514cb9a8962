/**
 * For each test program of the guest, a bug that it must find. Most are mutations: the program sees a driver that has
 * one particular bug (images/stress/lib/mutation.c). docs/controls.md has the same table, and a test holds them
 * together.
 */
import { RigError } from '../../util/rig-error.ts';
import type { Guest } from '../guest/guest.ts';

export interface Control {
  readonly program: string;
  /** What is wrong, in words. */
  readonly bug: string;
  /** In the environment, as EDGPU_STRESS_MUTATION. */
  readonly mutation?: string;
  /** All but the seed. */
  readonly options?: Readonly<Record<string, string | number>>;
  /** Part of what the program then says. */
  readonly says: RegExp;
  /** Shell commands before and after it. */
  readonly before?: string;
  readonly after?: string;
  /** Of a program that does not end by itself: shell commands that end it. It is $p, and what it says is in $log. */
  readonly end?: string;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const DEADLINE_MS = 120_000;

const PCI = '/sys/class/drm/renderD128/device';
const TABLES = '/sys/kernel/debug/page_tables/current_kernel';
const DRIVER = '/sys/bus/pci/drivers/edgpu';
const SKIP_COPY = '/sys/module/edgpu/parameters/svm_skip_copy';

const address = `a=$(basename $(readlink -f ${PCI}))`;
const untilSaid = (word: string): string =>
  `until grep -q '${word}' $log; do kill -0 $p 2> /dev/null || break; sleep 0.1; done`;
const terminateAfter = (word: string): string => `${untilSaid(word)}; kill -TERM $p`;
const terminateLater = 'sleep 1; kill -TERM $p';
const verifyTwice = `${untilSaid('holding')}; kill -USR1 $p; ${terminateAfter('^verified 1 ')}`;

const smoke = { bytes: 4 * MIB, 'object-size': MIB };
const small = { bytes: 2 * MIB, 'object-size': MIB };
const many = { count: 600, 'object-size': 4 * KIB };
const evict = { bytes: 4 * MIB, chunk: 256 };
const sleeper = { vram: 2, system: 2, 'object-size': 256 * KIB };

/** Bugs of the driver: jobs that are not done, content that is lost or old, answers that are not true. */
export const MUTATIONS: readonly Control[] = [
  { program: 'smoke', bug: 'no job is run', mutation: 'no-job', options: smoke, says: /checksum in system memory/ },
  { program: 'smoke', bug: 'copies are not done', mutation: 'no-copy', options: smoke, says: /checksum of the copy/ },
  { program: 'smoke', bug: 'nothing is moved', mutation: 'no-move', options: smoke, says: /the object is not there/ },
  { program: 'smoke', bug: 'a move loses a page', mutation: 'lost-page', options: smoke, says: /after swap: 0x/ },
  { program: 'smoke', bug: 'a move says EAGAIN for ever', mutation: 'again', options: smoke, says: /GEM_MOVE: EAGAIN/ },
  { program: 'cycle', bug: 'nothing is filled', mutation: 'no-fill', options: small, says: /object 0: checksum/ },
  { program: 'cycle', bug: 'no checksum is made', mutation: 'no-checksum', options: small, says: /object 0: checksum/ },
  {
    program: 'evict',
    bug: 'no checksum is made, and the last result is there',
    mutation: 'no-checksum',
    options: { ...evict, from: 'vram' },
    says: /stretch 0: checksum/,
  },
  {
    program: 'evict',
    bug: 'a move loses a page',
    mutation: 'lost-page:4',
    options: { ...evict, from: 'vram' },
    says: /stretch 0: checksum/,
  },
  {
    program: 'evict',
    bug: 'nothing is evicted',
    mutation: 'no-evict',
    options: { ...evict, from: 'pages' },
    says: /gone, and all are there/,
  },
  {
    program: 'purge',
    bug: 'nobody says which pages are lost',
    mutation: 'nothing-discarded',
    options: { 'object-size': 4 * MIB },
    says: /page \d+: content/,
  },
  {
    program: 'purge',
    bug: 'nothing is evicted, nor discarded',
    mutation: 'no-evict',
    options: { 'object-size': MIB, use: 'yes' },
    says: /not needed: 0x/,
  },
  { program: 'private', bug: 'nothing is filled', mutation: 'no-fill', says: /objects, one used: 0 of them/ },
  { program: 'objects', bug: 'nothing is filled', mutation: 'no-fill', options: many, says: /object 0: checksum/ },
  {
    program: 'objects',
    bug: 'memory is used again, and keeps what it had',
    mutation: 'stale-fill',
    options: many,
    says: /object \d+: checksum/,
  },
  { program: 'dma', bug: 'an object loses a page', mutation: 'lost-page', options: small, says: /object 0, checksum/ },
  {
    program: 'cache',
    bug: 'no checksum is made',
    mutation: 'no-checksum',
    options: { objects: 1, 'object-size': MIB, caching: 'cached' },
    says: /object 0, checksum/,
  },
  {
    program: 'nth',
    bug: 'an object loses a page',
    mutation: 'lost-page',
    options: { caching: 'cached', spare: 'yes' },
    says: /info, allocation 1 refused: content/,
  },
  {
    program: 'nth',
    bug: 'nothing is evicted',
    mutation: 'no-evict',
    options: { caching: 'cached', spare: 'yes' },
    says: /evicted has all of its pages/,
  },
  {
    program: 'pieces',
    bug: 'a move loses a page',
    mutation: 'lost-page',
    options: { piece: 8 * MIB, 'object-size': 16 * MIB },
    says: /large object 0, in system memory: checksum/,
  },
  {
    program: 'uapi',
    bug: 'bad arguments are taken for good ones',
    mutation: 'lenient',
    says: /success instead of EINVAL/,
  },
  { program: 'uapi', bug: 'the source of copies loses a page', mutation: 'lost-page:1', says: /random commands the/ },
  {
    program: 'fuzz',
    bug: 'what a caller has is changed by others',
    mutation: 'wrong-read',
    options: { seconds: 1, processes: 2 },
    says: /bystander's object 0 changed/,
  },
  { program: 'job', bug: 'no job is run', mutation: 'no-job', options: { expect: 'ok' }, says: /did not copy/ },
  { program: 'reset', bug: 'an object changes', mutation: 'wrong-read', says: /an object in VRAM changed/ },
  { program: 'share', bug: 'a mapping is of where the object was', mutation: 'stale', says: /wrong content at 0/ },
  { program: 'share', bug: 'no job is run', mutation: 'no-job', says: /read by the device: wrong content/ },
  {
    program: 'sleeper',
    bug: 'what comes back is what was saved the time before',
    mutation: 'stale',
    options: sleeper,
    end: verifyTwice,
    says: /object 0 at 0x0/,
  },
  {
    program: 'reclaim',
    bug: 'nothing is filled',
    mutation: 'no-fill',
    options: { ...small, reclaim: 0 },
    says: /device 0, object 0: checksum/,
  },
];

/** Bugs of what is around the program: of the device, of files, of its own memory. */
export const SURROUNDINGS: readonly Control[] = [
  {
    program: 'cache',
    bug: 'the page tables are an empty file',
    before: `mount --bind /dev/null ${TABLES}`,
    after: `umount ${TABLES}`,
    options: { objects: 1, 'object-size': MIB, caching: 'cached' },
    says: /current_kernel is empty/,
  },
  {
    program: 'cache',
    bug: 'the page tables can not be read',
    before: `mount --bind /proc/1/mem ${TABLES}`,
    after: `umount ${TABLES}`,
    options: { objects: 1, 'object-size': MIB, caching: 'cached' },
    says: /read .*current_kernel: Input\/output error/,
  },
  {
    program: 'mmap',
    bug: 'nothing can be swapped',
    before: 'swapoff /dev/vda',
    after: 'swapon /dev/vda',
    options: { objects: 1, 'object-size': MIB, rounds: 5 },
    says: /0 pages of an object are in swap, of 256/,
  },
  {
    program: 'reset',
    bug: 'the device is not reset',
    before: `mount --bind /dev/null $(readlink -f ${PCI})/reset`,
    after: `umount $(readlink -f ${PCI})/reset`,
    says: /VRAM did not lose its content/,
  },
  {
    program: 'evict',
    bug: 'a bit changes',
    options: { ...evict, from: 'pages', lose: 'yes' },
    says: /stretch 0: checksum/,
  },
  { program: 'job', bug: 'a job succeeds that can not', options: { expect: 'eio' }, says: /success instead of EIO/ },
  {
    program: 'hog',
    bug: 'a page changes',
    options: { bytes: MIB, use: 'once', lose: 'yes' },
    end: terminateAfter('holding'),
    says: /anonymous memory: 0x[0-9a-f]+ at offset 0/,
  },
  {
    program: 'spawn',
    bug: 'a program does not find its memory as it left it',
    options: { bytes: 4 * KIB, spoil: 0 },
    end: terminateLater,
    says: /program 0 ended with 1/,
  },
  {
    program: 'travel',
    bug: 'a bit changes',
    options: { by: 'exec', 'object-size': MIB, lose: 'yes' },
    end: `${untilSaid('holding')}; kill -TERM $(sed -n 's/^holding //p' $log)`,
    says: /what came: wrong content at 0/,
  },
  {
    program: 'reader',
    bug: 'the disk ends too early',
    options: { bytes: 2 ** 50 },
    before: 'dd if=/dev/zero of=/run/disk bs=1M count=1 2> /dev/null; mount --bind /run/disk /dev/vda',
    after: 'umount /dev/vda',
    end: untilSaid('firstError'),
    says: /read \/dev\/vda/,
  },
  {
    program: 'reseed',
    bug: 'there are no random bytes',
    before: 'exec < /dev/null',
    says: /nothing on standard input/,
  },
  {
    program: 'hmm',
    bug: 'a page changes',
    before: 'modprobe test_hmm',
    options: { areas: 64, bytes: MIB, rounds: 1, lose: 'yes' },
    after: 'rmmod test_hmm',
    says: /round 0: 0x/,
  },
  {
    program: 'svm',
    bug: 'a page changes',
    options: { test: 'ping-pong', bytes: 2 * MIB, lose: 'yes' },
    says: /back: page 0 has 0x/,
  },
  {
    program: 'fuzz',
    bug: 'memory that goes to VRAM is not copied',
    before: `echo Y > ${SKIP_COPY}`,
    options: { seconds: 2, processes: 2 },
    after: `echo N > ${SKIP_COPY}`,
    says: /process \d: \d+ words of its own memory changed/,
  },
  {
    program: 'migrate',
    bug: 'a page changes',
    options: { way: 'hmm', bytes: 2 * MIB, lose: 'yes' },
    says: /2 MiB number 0: 0x/,
  },
  {
    program: 'hold',
    bug: 'the device goes away instead of not answering',
    options: { expect: 'eio' },
    before: address,
    end: `${untilSaid('holding')}; echo $a > ${DRIVER}/unbind`,
    after: `echo $a > ${DRIVER}/bind`,
    says: /ENODEV instead of EIO/,
  },
  {
    program: 'hold',
    bug: 'a device that is gone shows something',
    options: { expect: 'enodev', lose: 'yes' },
    before: address,
    end: `${untilSaid('holding')}; echo $a > ${DRIVER}/unbind`,
    after: `echo $a > ${DRIVER}/bind`,
    says: /in system memory shows something else instead of zeroes/,
  },
];

/** With the device dead, and without the driver. */
export const NO_DEVICE: readonly Control[] = [
  { program: 'mmio', bug: 'the device is dead', options: { reads: 10 }, says: /nothing answers/ },
  { program: 'info', bug: 'there is no driver', says: /is the driver loaded/ },
];

/** Undefined if the program found what it had to find; otherwise what it said. */
export async function missedBy(guest: Guest, control: Control, seed: number): Promise<string | undefined> {
  const { exitCode, stdout, stderr } = await guest.exec(commandOf(control, seed), { deadlineMs: DEADLINE_MS });
  if (stdout === '') throw new RigError('test', `The control of ${control.program} could not be run: ${stderr}`);
  const found = exitCode !== 0 && control.says.test(stdout);
  return found
    ? undefined
    : `${control.program}, though ${control.bug}: ${stdout.trim()} (exit code ${String(exitCode)})`;
}

function commandOf({ program, mutation, options = {}, before, after, end }: Control, seed: number): string {
  const seeded = ['reseed', 'info', 'mmio'].includes(program) ? options : { ...options, seed };
  const words = Object.entries(seeded).map(([name, value]) => `--${name} ${String(value)}`);
  const run = [
    ...(mutation === undefined ? [] : [`EDGPU_STRESS_MUTATION=${mutation}`]),
    'edgpu-stress',
    program,
    ...words,
  ];
  const steps = [
    // A log of its own: in one that stays, `until` would find the word of the program before this one.
    'log=$(mktemp)',
    before,
    end === undefined ? `${run.join(' ')} > $log 2>&1` : `${run.join(' ')} > $log 2>&1 & p=$!; ${end}; wait $p`,
    'code=$?',
    after,
    'cat $log',
    'rm $log',
    'exit $code',
  ];
  return steps.filter((step) => step !== undefined).join('\n');
}
