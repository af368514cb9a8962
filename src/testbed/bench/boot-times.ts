/**
 * How long it takes from starting a VM to the end of a command in it: booted and cloned here, and by Debian's
 * virtme-ng.
 */
import path from 'node:path';
import { execa } from 'execa';
import { inject } from 'vitest';
import { obtainVirtmeNg } from '../../builds/debian/virtme-ng-package.ts';
import { loadMachineProfile } from '../../config/machine-profile.ts';
import { RigError } from '../../util/rig-error.ts';
import { shellQuote } from '../../util/shell-quote.ts';
import { obtainTemplate } from '../../vm/clone/template.ts';
import { Vm, type VmSpec } from '../../vm/vm.ts';
import type { Accelerator } from '../../vm/time-limits.ts';
import { acceleratorOf } from '../life/vm-accelerator.ts';

/** What is started. */
export const MACHINE = 'noswap';
const DONE = 'rig-command-done';
/** Of virtme-ng, on a host with other work to do. */
const DEADLINE_MS = 300_000;

/** What virtme-ng needs of the host beside itself; its QEMU is the host's, as it is for whoever installs it. */
const HOST_PACKAGES = 'qemu-system-x86 python3-argcomplete python3-pkg-resources python3-requests file udev';

/** Starts one VM, runs a command in it, and says what that took; `end` frees the VM, off the clock. */
interface Timed {
  readonly milliseconds: number;
  readonly end: () => Promise<unknown>;
}

export type Starter = (name: string) => Promise<Timed>;

interface Starters {
  readonly cloned: Starter;
  readonly booted: Starter;
  readonly 'virtme-ng': Starter;
}

export async function openStarters(signal: AbortSignal): Promise<Starters> {
  const rig = inject('rig');
  const profile = await loadMachineProfile(MACHINE);
  const accelerator = await acceleratorOf(rig, MACHINE, signal);
  const spec = (name: string): VmSpec => ({
    profile,
    accelerator,
    software: rig.build,
    folder: path.join(rig.artifacts, `boot-${name}`),
    signal,
  });
  const template = await obtainTemplate(spec('template'));
  const virtmeNg = await obtainVirtmeNg(() => undefined, signal);
  return {
    cloned: (name) => timeVm(() => Vm.clone(spec(name), template)),
    booted: (name) => timeVm(() => Vm.boot(spec(name))),
    'virtme-ng': () => timeVirtmeNg(virtmeNg, accelerator, signal),
  };
}

async function timeVm(start: () => Promise<Vm>): Promise<Timed> {
  const startedAt = performance.now();
  const vm = await start();
  const { stdout } = await vm.exec(`echo ${DONE}`);
  const milliseconds = performance.now() - startedAt;
  if (stdout.trim() !== DONE) throw new Error('The command did not run');
  return { milliseconds, end: () => vm.end({ keep: false, verdict: { status: 'passed' } }) };
}

/** It prints what the command prints and ends with it: when that is there is when a person has it. */
async function timeVirtmeNg(root: string, accelerator: Accelerator, signal: AbortSignal): Promise<Timed> {
  const { build } = inject('rig');
  const { boot } = (await loadMachineProfile(MACHINE)).memory;
  const startedAt = performance.now();
  const command = [
    ...['/usr/bin/python3', path.join(root, 'usr/bin/vng'), '--run', build.kernel.image, '--user', 'root'],
    ...['--cpus', '2', '--memory', `${String(boot.sizeMiB)}M`],
    ...['--disable-microvm', '--force-9p', ...(accelerator === 'kvm' ? [] : ['--disable-kvm'])],
    // Else a kernel under TCG on a busy host takes its late timer for a broken one, and panics.
    ...['--append', 'no_timer_check', '--exec', `echo ${DONE}`],
  ];
  // It refuses to run a command without a terminal.
  const child = execa('script', ['--quiet', '--return', '--command', command.map(shellQuote).join(' '), '/dev/null'], {
    env: {
      PATH: `${path.join(root, 'usr/bin')}:/usr/sbin:/usr/bin:/sbin:/bin`,
      PYTHONPATH: path.join(root, 'usr/lib/python3/dist-packages'),
    },
    all: true,
    stdin: 'ignore',
    reject: false,
    timeout: DEADLINE_MS,
    cancelSignal: signal,
  });
  let milliseconds: number | undefined;
  child.all.on('data', (chunk: Buffer) => {
    if (chunk.toString().includes(DONE)) milliseconds ??= performance.now() - startedAt;
  });
  const { all, exitCode } = await child;
  if (milliseconds === undefined) {
    const said = all.slice(-2000);
    throw new RigError('infrastructure', `virtme-ng ended with ${String(exitCode)} and ran no command: ${said}`, {
      remedy: `It needs: sudo apt-get install --no-install-recommends ${HOST_PACKAGES}`,
    });
  }
  return { milliseconds, end: () => Promise.resolve() };
}
