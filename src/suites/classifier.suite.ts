/**
 * What the rig says about a kernel in trouble, against a kernel that really is: the kernel's own crash test module, the
 * magic SysRq keys, and memory that runs out. Each has to be found, for what it is; a test that provokes nothing has to
 * be silent.
 */
import { describe, expect, vi } from 'vitest';
import { z } from 'zod';
import { test } from '../testbed/fixtures.ts';
import { canFindLeaks, examineKernel, forgetLeaks, hasLockValidator } from '../testbed/guest/kernel-health.ts';

const TRIGGER = '/sys/kernel/debug/provoke-crash/DIRECT';
const RCU = '/sys/module/rcupdate/parameters';

/** Crash points of lkdtm that this kernel can survive, and what they are. */
const SURVIVED = [
  ['WARNING', 'warning'],
  ['WARNING_MESSAGE', 'warning'],
  ['BUG', 'bug'],
  ['EXCEPTION', 'oops'],
  ['ACCESS_NULL', 'oops'],
  ['WRITE_RO', 'oops'],
  ['EXEC_DATA', 'oops'],
  ['STACK_GUARD_PAGE_LEADING', 'oops'],
  ['CORRUPT_LIST_ADD', 'list-corruption'],
  ['CORRUPT_LIST_DEL', 'list-corruption'],
  ['REFCOUNT_INC_OVERFLOW', 'refcount'],
  ['REFCOUNT_INC_ZERO', 'refcount'],
] as const;

/** Crash points that only one flavour notices. */
const NOTICED_BY_FLAVOUR = [
  ['kasan', 'READ_AFTER_FREE', ['kasan']],
  ['kasan', 'READ_BUDDY_AFTER_FREE', ['kasan']],
  ['kasan', 'ARRAY_BOUNDS', ['ubsan']],
  // It goes back to user space with the lock held, and then sleeps.
  ['lockdep', 'SPINLOCKUP', ['lockdep', 'atomic-sleep']],
] as const;

/** Conditions that a kernel notices in time, and what makes that soon. */
const NOTICED_IN_TIME = [
  ['SOFTLOCKUP', 'soft-lockup', 'echo 1 > /proc/sys/kernel/watchdog_thresh'],
  ['SOFTLOCKUP', 'rcu-stall', `echo 0 > /proc/sys/kernel/watchdog; echo 3 > ${RCU}/rcu_cpu_stall_timeout`],
  ['HUNG_TASK', 'hung-task', 'echo 1 > /proc/sys/kernel/hung_task_timeout_secs'],
  // The same again, where only those who wait for the CPU's workers are asked.
  [
    'SOFTLOCKUP',
    'workqueue-lockup',
    `echo 0 > /proc/sys/kernel/watchdog; echo 1 > ${RCU}/rcu_cpu_stall_suppress; echo 2 > /sys/module/workqueue/parameters/watchdog_thresh`,
  ],
] as const;

/** By what a reader learns why, which the kernel says after the title, and not as a warning. */
const AT_LENGTH = {
  'soft-lockup': /^RIP: 0010:/m,
  'rcu-stall': /^\t(?:rcu: )?.*ticks this GP|^rcu: \t/m,
  'hung-task': /^ lkdtm_HUNG_TASK\+/m,
  'workqueue-lockup': /^Showing busy workqueues and worker pools:$/m,
};

/** Errors in the use of memory that the slab allocator sees when it is told to look. */
const NOTICED_BY_SLAB = [
  ['SLAB_LINEAR_OVERFLOW', 'true'],
  ['WRITE_AFTER_FREE', 'echo 1 > /sys/kernel/slab/kmalloc-1k/validate'],
  ['SLAB_FREE_DOUBLE', 'true'],
] as const;

/** Turns the device on, with no driver, and has engine 0 fetch a command: registers by rig/edgpu/edgpu_regs.h. */
const UNMAPPED_RING = [
  'for device in /sys/bus/pci/devices/*; do [ $(cat $device/device) = 0x10f0 ] && break; done',
  String.raw`printf '\006\004' | dd of=$device/config bs=1 seek=4 conv=notrunc 2> /dev/null`,
  'read base rest < $device/resource',
  'devmem $((base + 0x1000)) 64 0x12345000',
  'devmem $((base + 0x1008)) 32 64',
  'devmem $((base + 0x1014)) 32 1',
].join(' && ');

function kindsOf({ kernelReports }: { readonly kernelReports: readonly { readonly kind: string }[] }): string[] {
  return [...new Set(kernelReports.map(({ kind }) => kind))];
}

/** Not `expect.poll`: that one asks which test it is in, and of tests side by side there is no telling. */
async function becomes(expected: readonly string[], look: () => readonly string[]): Promise<void> {
  await vi.waitFor(() => expect(look()).toEqual(expected), { timeout: 60_000 });
}

test.override({ machine: 'noswap', stateless: true });

describe('lkdtm', { concurrent: true }, () => {
  test.override({ provokes: [...new Set(SURVIVED.map(([, kind]) => kind))] });

  test('each crash point that a kernel survives is told for what it is', async ({ vm, guest, flavour, skip }) => {
    const { exitCode } = await guest.exec('modprobe lkdtm');
    skip(exitCode !== 0, 'this kernel has no lkdtm');
    for (const [point, kind] of SURVIVED) {
      // KASAN knows where the stack ends, and says so before the page fault does.
      if (flavour === 'kasan' && point === 'STACK_GUARD_PAGE_LEADING') continue;
      const before = vm.kernelReports.length;
      // Whoever writes there may not survive it.
      await guest.exec(`sh -c 'echo ${point} > ${TRIGGER}' & wait`);
      await becomes([point, kind], () => [point, ...vm.kernelReports.slice(before).map((report) => report.kind)]);
    }
  });
});

describe.for(NOTICED_IN_TIME)('%s, as a %s', { concurrent: true }, ([point, kind, soon]) => {
  test.override({ provokes: [kind] });

  test('is told, while the guest goes on', async ({ vm, guest, skip }) => {
    skip((await guest.exec('modprobe lkdtm')).exitCode !== 0, 'this kernel has no lkdtm');
    await guest.run(soon);
    await guest.run(`echo ${point} > ${TRIGGER} 2> /dev/null &`);
    await becomes([kind], () => kindsOf(vm));
    const told = (): string => (vm.kernelReports[0]?.lines ?? []).join('\n');
    await vi.waitFor(() => expect(told()).toMatch(AT_LENGTH[kind]), { timeout: 10_000 });
    expect(await guest.run('echo here')).toBe('here\n');
  });
});

describe.for(NOTICED_BY_FLAVOUR)('flavour %s', { concurrent: true }, ([notices, point, kinds]) => {
  test.override({ provokes: kinds });

  test(`tells ${point} as ${kinds[0]}`, async ({ vm, guest, flavour, skip }) => {
    skip(flavour !== notices, `only the flavour ${notices} notices that`);
    await guest.run('modprobe lkdtm');
    await guest.exec(`sh -c 'echo ${point} > ${TRIGGER}' & wait`);
    await becomes(kinds, () => kindsOf(vm));
  });
});

describe('a CPU that never comes back', { concurrent: true }, () => {
  test.override({ provokes: ['hard-lockup'] });

  test('is told by another one', async ({ vm, guest, flavour, skip }) => {
    skip(flavour !== 'lockdep', 'only the flavour lockdep looks after CPUs with interrupts off');
    await guest.run('modprobe lkdtm');
    await guest.run(
      `echo 0 > /proc/sys/kernel/soft_watchdog; echo 1 > ${RCU}/rcu_cpu_stall_suppress; echo 1 > /proc/sys/kernel/watchdog_thresh`,
    );
    // The interrupts of disk and network are the first CPU's.
    await guest.run(`taskset 2 sh -c 'echo HARDLOCKUP > ${TRIGGER}' > /dev/null 2>&1 &`);
    await becomes(['hard-lockup'], () => kindsOf(vm));
  });
});

/** What KCSAN says of a race between two functions that it saw both of. */
const BOTH_SIDES = [
  /^write to 0x\w+ of 8 bytes by (task|interrupt)/,
  /^ test_kernel_write\+/,
  /^read to 0x\w+ of 8 bytes by (task|interrupt)/,
  /^ test_kernel_read\+/,
];

describe('accesses that race', { concurrent: true }, () => {
  test.override({ provokes: ['kcsan'] });

  test("are told with both sides, where the kernel's own test races on purpose", async ({
    vm,
    guest,
    flavour,
    skip,
  }) => {
    skip(flavour !== 'kcsan', 'only the flavour kcsan sees races');
    await guest.run('modprobe kunit filter_glob=kcsan.test_basic');
    // It takes samples, for a second and a half; on a busy host the other CPU may stand still whenever it looks.
    for (let round = 1; round <= 40 && vm.kernelReports.length === 0; round++) {
      await guest.run('modprobe kcsan_test && rmmod kcsan_test');
    }
    expect(kindsOf(vm)).toEqual(['kcsan']);
    for (const { title, lines } of vm.kernelReports) {
      expect(title).toBe('BUG: KCSAN: data-race in test_kernel_read [kcsan_test] / test_kernel_write [kcsan_test]');
      expect(BOTH_SIDES.filter((side) => !lines.some((line) => side.test(line)))).toEqual([]);
    }
  });
});

describe('the DMA API, misused', { concurrent: true }, () => {
  test.override({ provokes: ['dma-debug'] });

  test("is what the kernel's own test of drm_gem_shmem does, for who watches", async ({ vm, guest, flavour, skip }) => {
    skip(flavour !== 'lockdep', 'only the flavour lockdep watches the DMA API');
    await guest.run('modprobe drm_gem_shmem_test');
    await becomes(['dma-debug'], () => kindsOf(vm));
  });
});

describe.for(NOTICED_BY_SLAB)('%s', { concurrent: true }, ([point, look]) => {
  test.override({ provokes: ['slab-corruption'], kernelArgs: ['slab_debug=FZPU'] });

  test('is slab corruption, where the allocator looks', async ({ vm, guest, flavour, skip }) => {
    skip(flavour === 'kasan', 'KASAN sees it first');
    skip((await guest.exec('modprobe lkdtm')).exitCode !== 0, 'this kernel has no lkdtm');
    await guest.exec(`sh -c 'echo ${point} > ${TRIGGER}' & wait; ${look}`);
    await becomes(['slab-corruption'], () => kindsOf(vm));
  });
});

describe('an allocation that fails', { concurrent: true }, () => {
  test.override({ provokes: ['page-allocation-failure'] });

  test('is noted, and fails nothing', async ({ vm, guest, skip }) => {
    // It gives back what it could have, and refuses to stay.
    const { stderr } = await guest.exec('modprobe test_lockup time_secs=1 alloc_pages_nr=1000 alloc_pages_order=10');
    skip(stderr.includes('not found'), 'this kernel has no test_lockup');
    await vm.hearKernelOut();
    expect(vm.kernelReports).toMatchObject([{ kind: 'page-allocation-failure', severity: 'note' }]);
  });
});

describe('an engine that hangs', { concurrent: true }, () => {
  test.override({ provokes: ['drm-error'] });

  test("is an error of DRM's, by which the driver says that it lives with it", async ({ vm, guest, gpu, backend }) => {
    await gpu.load({ backend });
    await gpu.inject({ kind: 'hang' });
    await guest.run('edgpu-stress job --expect eio --seed 1');
    await vm.hearKernelOut();
    expect(vm.kernelReports).toMatchObject([
      { kind: 'drm-error', severity: 'note', title: expect.stringContaining('hung in slot') as string },
    ]);
  });
});

describe('a machine check', { concurrent: true }, () => {
  test.override({ provokes: ['hardware-error'] });

  test('is told, though it was corrected', async ({ vm, guest }) => {
    await guest.run('echo 1 > /sys/devices/system/machinecheck/machinecheck0/check_interval');
    // By the host: processor 0, bank 2, a valid record of an enabled error.
    await vm.qmp('human-monitor-command', { 'command-line': 'mce 0 2 0x9000000000000001 0 0 0' }, z.unknown());
    await becomes(['hardware-error'], () => kindsOf(vm));
  });
});

// Not iommu-amd: QEMU 10.0 logs the event, but does not set the status bit by which Linux looks into the log
// (EventLogInt).
describe.for(['iommu-intel', 'iommu-virtio'])('on %s', { concurrent: true }, (machine) => {
  test.override({ machine, provokes: ['iommu-fault'] });

  test('a device that reads what nobody mapped for it is told', async ({ vm, guest, gpu }) => {
    await guest.run(UNMAPPED_RING);
    await becomes(['iommu-fault'], () => kindsOf(vm));
    expect(gpu.faultEvents()).toMatchObject([{ kind: 'iommu', address: 0x1234_5000 }]);
  });
});

describe('memory that runs out', { concurrent: true }, () => {
  test.override({ provokes: ['oom'] });

  test('is told, with who was killed for it', async ({ vm, guest }) => {
    const { exitCode } = await guest.exec(`edgpu-stress hog --bytes ${String(2 ** 40)} --seed 1`);
    expect(exitCode).not.toBe(0);
    // The allocation that the victim was in may fail as well, which is told as a note.
    const bugs = () => vm.kernelReports.filter(({ severity }) => severity === 'bug');
    const killed = expect.stringMatching(/Killed process \d+ \(hog\)/) as string;
    const table = expect.stringMatching(/^\[ *\d+\] .* hog$/) as string;
    const choice = expect.stringMatching(/^oom-kill:constraint=.*task=hog/) as string;
    // The console may be behind SSH.
    await expect
      .poll(bugs, { timeout: 10_000 })
      .toMatchObject([{ kind: 'oom', lines: expect.arrayContaining([killed, table, choice]) as string[] }]);
  });
});

describe('panic', { concurrent: true }, () => {
  test.override({ provokes: ['panic'] });

  test('by SysRq is what is told, and not the lost session that is all a command sees of it', async ({ vm, guest }) => {
    const failure = await guest.exec('echo c > /proc/sysrq-trigger; sleep 100').catch((error: unknown) => error);
    expect(failure).toMatchObject({ failureClass: 'kernel' });
    expect(vm.kernelReports).toMatchObject([{ kind: 'panic', fatal: true }]);
  });
});

describe('after a test', { concurrent: true }, () => {
  test('control: memory that a module leaks is found, where the kernel looks for leaks', async ({ guest, skip }) => {
    skip(!(await canFindLeaks(guest)), 'only the flavour kmemleak does');
    expect(await examineKernel(guest)).toEqual([]);
    await guest.run('modprobe kmemleak-test && rmmod kmemleak-test');
    const [complaint, ...others] = await examineKernel(guest);
    expect(complaint).toMatch(/^kmemleak suspects \d+ leaks:/);
    // The names of its functions have gone with the module.
    expect(complaint).toContain('do_init_module');
    expect(others).toEqual([]);
    await forgetLeaks(guest);
  });
});

describe('after a test', { concurrent: true }, () => {
  test.override({ provokes: ['bug'] });

  test('control: a taint is told, and that the lock validator has given up', async ({ guest, skip }) => {
    expect(await examineKernel(guest)).toEqual([]);
    skip((await guest.exec('modprobe lkdtm')).exitCode !== 0, 'this kernel has no lkdtm');
    const validates = await hasLockValidator(guest);
    await guest.exec(`sh -c 'echo BUG > ${TRIGGER}' & wait`);
    expect(await examineKernel(guest)).toEqual([
      'the kernel is tainted: oops or BUG',
      ...(validates ? ['the lock validator has turned itself off, and said nothing'] : []),
    ]);
  });
});

describe('silence', { concurrent: true }, () => {
  test('control: what a program says on the console is no report', async ({ vm, guest }) => {
    await guest.run("printf 'Kernel panic - not syncing: no\\nBUG: KASAN: no in f+0x1/0x2\\n' > /dev/ttyS0");
    await guest.run('sleep 1');
    expect(vm.kernelReports).toEqual([]);
  });
});
