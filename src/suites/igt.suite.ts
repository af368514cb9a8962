/**
 * IGT, the tests that DRM drivers share, as Debian has them: those for any driver, on edgpu and on three drivers of
 * upstream's. What is expected of each is in rig/igt, in the form of the kernel's own drm-ci.
 */
import { writeFile } from 'node:fs/promises';
import { describe, expect, inject } from 'vitest';
import { slowdownOf } from '../config/flavour.ts';
import { failuresCsv, igtExpectations, isSkipped, judgedIgt, type IgtResult } from '../plan/igt.ts';
import { test } from '../testbed/fixtures.ts';
import { taintsOf } from '../testbed/guest/kernel-health.ts';
import { installIgt, runIgt, swSyncPrograms, SW_SYNC_TAINT } from '../testbed/programs/igt.ts';
import { RigError } from '../util/rig-error.ts';

const { selection, sources } = inject('rig');
const unpatched = sources.unpatched === true;

/** Of one program, in the guest. */
const LIMIT_S = 240 * slowdownOf(selection.flavour);
const TEST_LIMIT_MS = 3_600_000 * slowdownOf(selection.flavour);

/** Upstream, releases of qxl's need zeroed memory and do not have it, which patch 0006 mends. */
const zeroed = unpatched ? ['init_on_alloc=1'] : [];

interface Driver {
  readonly module: string;
  readonly machine: string;
  readonly kernelArgs: readonly string[];
  readonly onlyDriver?: string;
}

const DRIVERS: readonly Driver[] = [
  { module: 'edgpu', machine: 'desk', kernelArgs: [] },
  { module: 'qxl', machine: 'qxl', kernelArgs: zeroed },
  { module: 'bochs', machine: 'bochs', kernelArgs: [] },
  { module: 'virtio_gpu', machine: 'virtio-gpu', kernelArgs: [], onlyDriver: 'virtio_gpu' },
];

for (const { module, machine, kernelArgs, onlyDriver } of DRIVERS) {
  describe(`on ${module}`, { concurrent: true }, () => {
    // Each program of IGT looks for the kernel's trace where it once was.
    const provokes = [/^NOTICE: Automounting of tracing to debugfs is deprecated/];
    test.override({ machine, kernelArgs, stateless: true, provokes });

    test.skipIf(module === 'edgpu' && unpatched)(
      'each part does what it is known to do',
      { timeout: TEST_LIMIT_MS },
      async ({ vm, guest, task, annotate, signal, taints }) => {
        const expectations = await igtExpectations(module);
        const programs = await installIgt(vm, guest, signal);
        const makeFences = await swSyncPrograms(guest);
        await guest.run(`modprobe ${module} && test -c /dev/dri/card0`);
        const results: IgtResult[] = [];
        // What was said before the kernel died counts.
        const tell = (): void => void (task.meta.subtests = judgedIgt(results, expectations));
        for (const program of programs.filter((name) => !isSkipped(name, expectations))) {
          await annotate(`running ${program}`, 'step');
          const before = await taintsOf(guest);
          results.push(...(await runIgt(guest, program, expectations, { limitS: LIMIT_S, onlyDriver })));
          const tainted = !before.includes(SW_SYNC_TAINT) && (await taintsOf(guest)).includes(SW_SYNC_TAINT);
          if (tainted && makeFences.includes(program)) taints.push(SW_SYNC_TAINT);
          tell();
        }
        await writeFile(vm.folder.file('failures.csv'), failuresCsv(results));
        const failed = judgedIgt(results, expectations).filter(({ status }) => status === 'fail');
        if (failed.length > 0) throw unexpected(module, failed.length);
        expect(results.some(({ status }) => status === 'Pass')).toBe(true);
      },
    );
  });
}

function unexpected(module: string, count: number): RigError {
  const error = new RigError(
    'test',
    `IGT on ${module}: ${String(count)} of its cases did not do what rig/igt/${module}-fails.txt and ${module}-flakes.txt say.`,
    { remedy: 'failures.csv, in the artifacts, has all that failed in the form of these files.' },
  );
  // No line of this file says why.
  return Object.assign(error, { stack: '' });
}
