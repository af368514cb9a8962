import { describe, expect, test } from 'vitest';
import { listMachineProfiles, loadMachineProfile } from '../../../src/config/machine-profile.ts';
import { qemuArguments, type VmHardware } from '../../../src/vm/qemu/command-line.ts';

const BASE: Omit<VmHardware, 'profile'> = {
  accelerator: 'tcg',
  gpu: { dmaBits: 40, vramMiB: 256, apertureMiB: 128 },
  files: { kernel: '/k/bzImage', initrd: '/vm/initrd', firmware: ['/fw/rig', '/fw/debian'], swapImage: '/vm/swap.img' },
  channels: { kind: 'rig', monitorFd: 3, console: '/vm/console' },
  kernelArgs: [],
};

/** One option and its value a line, as people read it. */
function lines(args: readonly string[]): string {
  return `${args.join('\n').replaceAll(/\n(?!-)/g, ' ')}\n`;
}

describe('the command line of every machine', async () => {
  test.for(await listMachineProfiles())('%s', async (name) => {
    const args = qemuArguments({ ...BASE, profile: await loadMachineProfile(name) });
    await expect(lines(args)).toMatchFileSnapshot(`command-lines/${name}.txt`);
  });
});

describe('variations', () => {
  test('KVM uses the host CPU, and TCG gets a thread per CPU', async () => {
    const profile = await loadMachineProfile('tiers');
    expect(qemuArguments({ ...BASE, profile, accelerator: 'kvm' }).join(' ')).toMatch(
      // The host's address bits, no hypercall by the instruction of another vendor, and not the MSR 0x10a, which some
      // hosts in a VM offer and refuse.
      /-accel kvm -cpu host,vendor=GenuineIntel,family=6,model=58,kvm-pv-unhalt=off,kvm-pv-ipi=off,kvm-pv-sched-yield=off,arch-capabilities=off -smp/,
    );
    expect(qemuArguments({ ...BASE, profile }).join(' ')).toMatch(/-accel tcg,thread=multi -cpu max,vendor=/);
  });

  test('the check of the timer is left out under TCG alone', async () => {
    const profile = await loadMachineProfile('tiers');
    expect(qemuArguments({ ...BASE, profile }).at(-1)).toContain(' no_timer_check ');
    expect(qemuArguments({ ...BASE, profile, accelerator: 'kvm' }).at(-1)).not.toContain('no_timer_check');
  });

  test('the device is traced, and the kernel says where a debugger begins, only where somebody wants it', async () => {
    const profile = await loadMachineProfile('tiers');
    expect(qemuArguments({ ...BASE, profile }).join(' ')).not.toMatch(/-trace|-msg|vmcoreinfo/);
    const args = qemuArguments({ ...BASE, profile, deviceTrace: '/a/log', isReadable: true }).join(' ');
    expect(args).toContain('-msg timestamp=on -trace edgpu_* -trace -edgpu_reg_* -D /a/log');
    expect(args).toContain('-device vmcoreinfo');
  });

  test('counting instructions takes a single thread', async () => {
    const profile = await loadMachineProfile('tiers');
    const args = qemuArguments({ ...BASE, profile, countsInstructions: true }).join(' ');
    expect(args).toMatch(/-accel tcg,thread=single -icount shift=0,sleep=on -cpu max,vendor=/);
    expect(qemuArguments({ ...BASE, profile }).join(' ')).not.toContain('-icount');
  });

  test('a replay talks on the terminal and needs no inherited socket', async () => {
    const profile = await loadMachineProfile('tiers');
    const args = qemuArguments({ ...BASE, profile, channels: { kind: 'terminal' } }).join(' ');
    expect(args).toContain('-serial mon:stdio');
    expect(args).not.toContain('fd=');
    // Without a shell on the serial port nobody would answer there.
    expect(args).toMatch(/-append console=ttyS0.* rig\.console$/);
    expect(qemuArguments({ ...BASE, profile }).join(' ')).not.toContain('rig.console');
  });

  test('a comma in a path does not end the option', async () => {
    const profile = await loadMachineProfile('tiers');
    const files = { ...BASE.files, swapImage: '/a,b/swap.img' };
    expect(qemuArguments({ ...BASE, profile, files }).join(' ')).toContain('file=/a,,b/swap.img,format=raw');
  });

  test('folders of the host are devices that QEMU keeps read-only, and the guest is told where they go', async () => {
    const profile = await loadMachineProfile('tiers');
    const shares = [
      { folder: '/src/linux', at: '/mnt/linux' },
      { folder: '/a', at: '/opt/b' },
    ];
    const args = qemuArguments({ ...BASE, profile, shares }).join(' ');
    expect(args).toContain(
      '-fsdev local,id=share0,path=/src/linux,security_model=none,readonly=on,multidevs=remap -device virtio-9p-pci,fsdev=share0,mount_tag=share0 -fsdev local,id=share1,path=/a,',
    );
    expect(args).toMatch(/-append .* rig\.share=share0:\/mnt\/linux rig\.share=share1:\/opt\/b /);
    // A guest that has broken into QEMU can start no program for all that.
    expect(args).toMatch(/-sandbox on,\S*spawn=deny/);
    expect(qemuArguments({ ...BASE, profile }).join(' ')).not.toMatch(/9p|share/);
  });

  test('a userland is a disk that nobody writes to', async () => {
    const profile = await loadMachineProfile('tiers');
    expect(qemuArguments({ ...BASE, profile, userland: '/cache/a,b/debian.erofs' }).join(' ')).toContain(
      '-drive if=none,id=debian,file=/cache/a,,b/debian.erofs,format=raw,readonly=on -device virtio-blk-pci,drive=debian,serial=debian ',
    );
  });

  test('without a GPU there is no edgpu', async () => {
    const profile = await loadMachineProfile('tiers');
    expect(qemuArguments({ ...BASE, profile, gpu: undefined }).join(' ')).not.toContain('edgpu');
  });
});
