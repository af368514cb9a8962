/**
 * `dgpu-rig crash` on the memory of a guest that panicked. It takes a kernel with debug information, which is built
 * first, so it is for --effort 2.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { EFFORT, rig, rigWithin } from './rig-command.ts';
import { temporaryFolder } from './test-vm.ts';

/** The kernel is another one, and none of it may be there yet. */
const LIMIT_MS = 60 * 60_000;

/** The types are those of the kernel, of drivers/base, and of the driver's module. */
const LOOK = `from drgn import cast
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.percpu import per_cpu

cpu = prog["panic_cpu"].counter.value_()
task = per_cpu(prog["runqueues"], cpu).curr
print("panicked:", task.comm.string_().decode())
nodes = prog["edgpu_pci_driver"].driver.p.klist_devices.k_list.address_of_()
for private in list_for_each_entry("struct device_private", nodes, "knode_driver.n_node"):
    gpu = cast("struct edgpu_device *", private.device.driver_data)
    print("edgpu:", gpu.dma_bits.value_(), "bits,", gpu.vram_size.value_() >> 20, "MiB of VRAM")
`;

test.skipIf(EFFORT === 1)(
  'drgn names the task that panicked, and reads what the driver knows of its device',
  { timeout: LIMIT_MS },
  async () => {
    const folder = await temporaryFolder();
    const [history, look] = [path.join(folder, 'history'), path.join(folder, 'look.py')];
    await writeFile(look, LOOK);
    await writeFile(path.join(folder, 'culprit'), '#!/bin/sh\necho c > /proc/sysrq-trigger\n', { mode: 0o755 });
    const command = 'modprobe edgpu && /tmp/culprit';
    const options = ['--debug-info', '--machine', 'noswap', '--dma-bits', '40'];
    const put = ['--put', `${path.join(folder, 'culprit')}:/tmp/`, '--exec', command];
    const ran = await rigWithin(LIMIT_MS, history, 'run', ...options, ...put);
    expect(ran.exitCode, ran.said).toBe(3);
    const { exitCode, said } = await rig(history, 'crash', 'last', '--', look);
    expect(said).toContain('panicked: culprit\nedgpu: 40 bits, 256 MiB of VRAM');
    expect(exitCode).toBe(0);
  },
);
