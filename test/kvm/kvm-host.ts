/**
 * A machine with KVM where there is none: the rig's own guest on a processor with AMD-V, which TCG emulates, with the
 * rig's QEMU, kernel and image in it under the paths that they have on the host.
 */
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { inject, onTestFinished } from 'vitest';
import { z } from 'zod';
import type { RigBuild } from '../../src/builds/build-rig.ts';
import { writeCpio, type CpioEntry } from '../../src/builds/guest/cpio.ts';
import { addressBitsOf, describeKvm, type KvmDevice } from '../../src/config/kvm-device.ts';
import { loadMachineProfile, type MachineProfile } from '../../src/config/machine-profile.ts';
import { repositoryPath } from '../../src/config/paths.ts';
import type { RigContext, Selection } from '../../src/plan/rig-context.ts';
import { testResult, type TestResult } from '../../src/report/run-report.ts';
import { Gpu } from '../../src/testbed/device/gpu.ts';
import { Guest } from '../../src/testbed/guest/guest.ts';
import { sshAddressOf, runningVms } from '../../src/vm/link/door.ts';
import { shellQuote } from '../../src/util/shell-quote.ts';
import type { ProofSubject } from '../../src/vm/kvm-proof.ts';
import { Vm, type VmSoftware, type VmSpec } from '../../src/vm/vm.ts';
import type { RemoteQemu } from './remote-qemu.ts';

/** Where the guest has what the host's QEMU is linked with: its own libraries are another libc's. */
const LIBRARIES = '/opt/qemu-libraries';

export interface KvmHostOptions {
  /** Of its processor: how many bits a physical address has. */
  readonly addressBits?: number;
  /** Of its processor: the vendor. TCG emulates AMD-V alone, and of these two kvm-amd has to do with AMD's only. */
  readonly vendor?: 'AuthenticAMD' | 'GenuineIntel';
  /** Load kvm-amd, so that there is a /dev/kvm. */
  readonly kvm?: boolean;
  /** Its CPUs take turns in one thread, ten times a second, instead of having one each. */
  readonly inTurn?: boolean;
}

interface InsideOptions {
  readonly name?: string;
  readonly dmaBits?: number;
}

/** What differs from the host's build: its QEMU is relayed to the one inside. */
interface Relay {
  readonly vm: Vm;
  readonly folder: string;
  readonly remote: RemoteQemu;
  readonly build: RigBuild;
}

export class KvmHost {
  readonly vm: Vm;
  /** What a VM inside is made of: as the host's, but for a QEMU that starts in there. */
  readonly software: RigBuild;
  readonly #relay: Relay;

  private constructor(relay: Relay, launcher: string) {
    this.vm = relay.vm;
    this.software = { ...relay.build, qemu: { ...relay.build.qemu, binary: launcher } };
    this.#relay = relay;
  }

  static async boot(options: KvmHostOptions = {}): Promise<KvmHost> {
    const { addressBits = 46, vendor = 'AuthenticAMD', kvm = true, inTurn = false } = options;
    const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-kvm-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const { build } = inject('rig');
    const libraries = await linkedLibraries(build.qemu.binary);
    const initrd = await writeHostImage(path.join(folder, 'initrd'), build, libraries);
    const binary = inTurn ? await writeTurnTaker(folder, build.qemu.binary) : build.qemu.binary;
    const vm = await Vm.boot({
      profile: withProcessor(await loadMachineProfile('kvm-host'), vendor, addressBits),
      accelerator: 'tcg',
      software: { ...build, qemu: { ...build.qemu, binary }, initrd },
      folder: path.join(folder, 'host'),
      signal: new AbortController().signal,
    });
    onTestFinished(async () => {
      await vm.end({ keep: false, verdict: { status: 'passed' } });
    });
    await showImage(vm, build);
    if (kvm) await loadKvm(vm);
    const remote: RemoteQemu = {
      ssh: await addressOf(vm),
      binary: build.qemu.binary,
      loader: `${LIBRARIES}/${path.basename(libraries.loader)}`,
      libraries: LIBRARIES,
      image: build.initrd,
      user: 'root',
    };
    return KvmHost.#relayedBy({ vm, folder, remote, build });
  }

  static async #relayedBy(relay: Relay): Promise<KvmHost> {
    return new KvmHost(relay, await writeLauncher(relay.folder, relay.remote));
  }

  /** The same machine for a user without rights, who runs QEMU in there. */
  async as(user: string): Promise<KvmHost> {
    await this.vm.exec(`echo ${user}:x:1000:1000::/:/bin/sh >> /etc/passwd`);
    return KvmHost.#relayedBy({ ...this.#relay, remote: { ...this.#relay.remote, user } });
  }

  /** As the rig asks its own host, asked of the host inside, by whoever runs QEMU there. */
  get device(): KvmDevice {
    return {
      opens: async () => {
        const { stderr } = await this.vm.exec(`su ${this.#relay.remote.user} -c 'exec < /dev/kvm'`);
        const { stdout: group } = await this.vm.exec('stat -c %G /dev/kvm');
        return describeKvm('/dev/kvm', codeOf(stderr), group.trim());
      },
      addressBits: async () => addressBitsOf((await this.vm.exec('cat /proc/cpuinfo')).stdout),
    };
  }

  /** What the proof of KVM is told, for a machine inside. */
  subject(profile: MachineProfile): ProofSubject {
    return {
      software: this.software,
      profile,
      emit: () => undefined,
      signal: new AbortController().signal,
      device: this.device,
      patience: PATIENCE,
    };
  }

  /** Of a VM inside, whose folder has this name. */
  spec(profile: MachineProfile, { name = 'inside', dmaBits = 40 }: InsideOptions = {}): VmSpec {
    return {
      profile,
      accelerator: 'kvm',
      software: this.software,
      gpu: { dmaBits, vramMiB: 64, apertureMiB: 64 },
      patience: PATIENCE,
      folder: path.join(this.vm.folder.path, name),
      signal: new AbortController().signal,
    };
  }

  async bootInside(profile: MachineProfile, options: InsideOptions = {}): Promise<Vm> {
    return endLater(await Vm.boot(this.spec(profile, options)));
  }

  /** What suites say whose VMs run in there, under KVM. */
  async run(suites: readonly string[], selection: Partial<Selection>, filter = ''): Promise<TestResult[]> {
    const files = ['rig.json', 'results.json'].map((name) => path.join(this.#relay.folder, name));
    const [input = '', output = ''] = files;
    const rig: RigContext = {
      ...inject('rig'),
      build: this.software,
      accelerator: 'kvm',
      acceleration: { accelerator: 'kvm' },
      selection: { ...inject('rig').selection, ...selection },
      patience: PATIENCE,
      artifacts: path.join(this.#relay.folder, 'artifacts'),
    };
    await writeFile(input, JSON.stringify(rig));
    const program = ['--import', 'tsx', repositoryPath('test/kvm/run-suites.ts'), ...files, suites.join(','), filter];
    // Its templates are of a QEMU that is gone tomorrow.
    const env = { DGPU_RIG_CACHE: path.join(this.#relay.folder, 'cache') };
    await execa(process.execPath, program, { cwd: repositoryPath(), env, all: true });
    return z.array(testResult).parse(JSON.parse(await readFile(output, 'utf8')));
  }
}

/** Under an emulated KVM all takes as long as under TCG, and some things longer. */
export const PATIENCE = 10;

/** The driver in a VM inside. */
export async function loaded(vm: Vm): Promise<{ readonly guest: Guest; readonly gpu: Gpu }> {
  const guest = new Guest(vm);
  const gpu = new Gpu(vm, guest);
  await gpu.load({ backend: 'shmem' });
  return { guest, gpu };
}

export function endLater(vm: Vm): Vm {
  onTestFinished(async () => {
    await vm.end({ keep: false, verdict: { status: 'passed' } });
  });
  return vm;
}

function withProcessor(profile: MachineProfile, vendor: string, bits: number): MachineProfile {
  const cpu = profile.cpu.replace(/vendor=\w+/, `vendor=${vendor}`).replace(/phys-bits=\d+/, `phys-bits=${bits}`);
  return { ...profile, cpu };
}

/** What open() would have failed with, by what the shell says. */
function codeOf(complaint: string): string | undefined {
  if (/permission denied/i.test(complaint)) return 'EACCES';
  if (/no such file/i.test(complaint)) return 'ENOENT';
  return complaint === '' ? undefined : complaint;
}

/** A cache below /tmp is below a file system that is mounted there when the machine has booted. */
async function showImage(vm: Vm, { initrd }: VmSoftware): Promise<void> {
  const { exitCode, stderr } = await vm.exec(`umount /tmp && test -r ${shellQuote(initrd)}`);
  if (exitCode !== 0) throw new Error(`The machine kvm-host does not show ${initrd}: ${stderr}`);
}

async function loadKvm(vm: Vm): Promise<void> {
  const { exitCode, stderr } = await vm.exec('modprobe kvm-amd && test -c /dev/kvm');
  if (exitCode !== 0) throw new Error(`There is no KVM in the machine kvm-host: ${stderr}`);
}

async function addressOf(vm: Vm): Promise<RemoteQemu['ssh']> {
  const found = (await runningVms()).find(({ pid }) => pid === vm.pid);
  const address = found && (await sshAddressOf(found));
  if (!address) throw new Error('The machine kvm-host has no SSH address');
  return address;
}

/** A program as any QEMU, for the rig. */
async function writeLauncher(folder: string, remote: RemoteQemu): Promise<string> {
  const config = path.join(folder, `remote-qemu-${remote.user}.json`);
  await writeFile(config, JSON.stringify(remote), { mode: 0o600 });
  const launcher = path.join(folder, `qemu-in-kvm-host-${remote.user}`);
  const program = [process.execPath, '--import', 'tsx', repositoryPath('test/kvm/remote-qemu.ts'), config];
  const script = [
    '#!/bin/sh',
    `cd ${shellQuote(repositoryPath())}`,
    `exec ${program.map(shellQuote).join(' ')} "$@"`,
    '',
  ];
  await writeFile(launcher, script.join('\n'), { mode: 0o755 });
  return launcher;
}

/** QEMU, with other words on its command line. */
async function writeTurnTaker(folder: string, binary: string): Promise<string> {
  const launcher = path.join(folder, 'qemu-in-turn');
  const script = ['#!/bin/bash', `exec ${shellQuote(binary)} "\${@/thread=multi/thread=single}"`, ''];
  await writeFile(launcher, script.join('\n'), { mode: 0o755 });
  return launcher;
}

interface Libraries {
  readonly loader: string;
  readonly files: readonly string[];
}

async function linkedLibraries(binary: string): Promise<Libraries> {
  const { stdout } = await execa('ldd', [binary]);
  const files = [...stdout.matchAll(/(\/\S+) \(0x/g)].flatMap(([, file]) => file ?? []);
  const loader = files.find((file) => path.basename(file).startsWith('ld-linux'));
  if (loader === undefined) throw new Error(`${binary} is not dynamically linked: ${stdout}`);
  return { loader, files };
}

/** The guest's image, and behind it all that a VM inside needs. */
async function writeHostImage(file: string, build: VmSoftware, libraries: Libraries): Promise<string> {
  const files = new Map<string, string>();
  for (const same of [build.qemu.binary, build.kernel.image, build.initrd]) files.set(same, same);
  for (const library of libraries.files) files.set(`${LIBRARIES}/${path.basename(library)}`, library);
  for (const folder of build.qemu.firmware) {
    for (const name of await readdir(folder)) files.set(path.join(folder, name), path.join(folder, name));
  }
  const entries = await Promise.all([...files].map(([target, source]) => fileEntry(target, source)));
  const folders = new Set([...files.keys()].flatMap(parents));
  const segment = writeCpio([...[...folders].map((name): CpioEntry => ({ kind: 'dir', path: name })), ...entries]);
  await writeFile(file, Buffer.concat([await readFile(build.initrd), segment]));
  return file;
}

async function fileEntry(target: string, source: string): Promise<CpioEntry> {
  const { mode } = await stat(source);
  return {
    kind: 'file',
    path: target.slice(1),
    data: await readFile(source),
    mode: (mode & 0o100) === 0 ? 0o644 : 0o755,
  };
}

/** Of an absolute path, the outermost first; the image has these already that any system has. */
function parents(file: string): string[] {
  const parts = path.dirname(file).split('/').slice(1);
  return parts
    .map((_, index) => parts.slice(0, index + 1).join('/'))
    .filter((folder) => !['root', 'tmp'].includes(folder));
}
