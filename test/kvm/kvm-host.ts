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
import { loadMachineProfile, type MachineProfile } from '../../src/config/machine-profile.ts';
import { repositoryPath } from '../../src/config/paths.ts';
import type { RigContext, Selection } from '../../src/plan/rig-context.ts';
import { testResult, type TestResult } from '../../src/report/run-report.ts';
import { sshAddressOf, runningVms } from '../../src/vm/link/door.ts';
import { shellQuote } from '../../src/util/shell-quote.ts';
import { Vm, type VmSoftware } from '../../src/vm/vm.ts';
import type { RemoteQemu } from './remote-qemu.ts';

/** Where the guest has what the host's QEMU is linked with: its own libraries are another libc's. */
const LIBRARIES = '/opt/qemu-libraries';

export interface KvmHostOptions {
  /** Of its processor: how many bits a physical address has. */
  readonly addressBits?: number;
  /** Load kvm-amd, so that there is a /dev/kvm. */
  readonly kvm?: boolean;
  /** Its CPUs take turns in one thread, ten times a second, instead of having one each. */
  readonly inTurn?: boolean;
}

export class KvmHost {
  readonly vm: Vm;
  /** What a VM inside is made of: as the host's, but for a QEMU that starts in there. */
  readonly software: RigBuild;
  readonly #folder: string;

  private constructor(vm: Vm, folder: string, software: RigBuild) {
    this.vm = vm;
    this.#folder = folder;
    this.software = software;
  }

  static async boot({ addressBits = 46, kvm = true, inTurn = false }: KvmHostOptions = {}): Promise<KvmHost> {
    const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-kvm-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const { build } = inject('rig');
    const libraries = await linkedLibraries(build.qemu.binary);
    const initrd = await writeHostImage(path.join(folder, 'initrd'), build, libraries);
    const binary = inTurn ? await writeTurnTaker(folder, build.qemu.binary) : build.qemu.binary;
    const vm = await Vm.boot({
      profile: withAddressBits(await loadMachineProfile('kvm-host'), addressBits),
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
    };
    const software = { ...build, qemu: { ...build.qemu, binary: await writeLauncher(folder, remote) } };
    return new KvmHost(vm, folder, software);
  }

  /** What suites say whose VMs run in there, under KVM. */
  async run(suites: readonly string[], selection: Partial<Selection>, filter = ''): Promise<TestResult[]> {
    const files = ['rig.json', 'results.json'].map((name) => path.join(this.#folder, name));
    const [input = '', output = ''] = files;
    const rig: RigContext = {
      ...inject('rig'),
      build: this.software,
      accelerator: 'kvm',
      acceleration: { accelerator: 'kvm' },
      selection: { ...inject('rig').selection, ...selection },
      patience: PATIENCE,
      artifacts: path.join(this.#folder, 'artifacts'),
    };
    await writeFile(input, JSON.stringify(rig));
    const program = ['--import', 'tsx', repositoryPath('test/kvm/run-suites.ts'), ...files, suites.join(','), filter];
    // Its templates are of a QEMU that is gone tomorrow.
    const env = { DGPU_RIG_CACHE: path.join(this.#folder, 'cache') };
    await execa(process.execPath, program, { cwd: repositoryPath(), env, all: true });
    return z.array(testResult).parse(JSON.parse(await readFile(output, 'utf8')));
  }
}

/** Under an emulated KVM all takes as long as under TCG, and some things longer. */
export const PATIENCE = 10;

function withAddressBits(profile: MachineProfile, bits: number): MachineProfile {
  return { ...profile, cpu: profile.cpu.replace(/phys-bits=\d+/, `phys-bits=${String(bits)}`) };
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
  const config = path.join(folder, 'remote-qemu.json');
  await writeFile(config, JSON.stringify(remote), { mode: 0o600 });
  const launcher = path.join(folder, 'qemu-in-kvm-host');
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
