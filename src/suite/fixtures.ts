/**
 * The fixtures that suites are written against: `vm` (a booted machine), `guest` (commands in it), `gpu` (the emulated
 * device, its driver and its witnesses). `machine`, `dmaBits` and `backend` say which, and can be overridden per describe().
 */
import path from 'node:path';
import { inject, test as base } from 'vitest';
import type { z } from 'zod';
import { loadMachineProfile } from '../config/machine-profile.ts';
import { RigError } from '../util/rig-error.ts';
import type { KernelReportKind } from '../vm/kernel-report.ts';
import { Vm } from '../vm/vm.ts';
import { Gpu, GPU_MEMORY } from './gpu.ts';
import { Guest } from './guest.ts';
import type { Measurement, TestRecord } from './rig-context.ts';
import type { ProgramReport } from './stress-program.ts';
import { runWithWitnesses, stressWithWitnesses, USUAL_OBJECT_SIZE, type StressFixtures } from './witnessed-stress.ts';

export const test = base
  .extend('machine', () => inject('rig').selection.machine)
  .extend('dmaBits', () => inject('rig').selection.dmaBits[0] ?? 32)
  .extend('backend', () => inject('rig').selection.backend)
  /** More of the kernel's command line than the machine's own. */
  .extend('kernelArgs', (): readonly string[] => [])
  /** What kernel reports a control provokes: they don't count against it. */
  .extend('provokes', (): readonly KernelReportKind[] => [])
  .extend('seed', () => inject('rig').selection.seed)
  .extend('record', ({ task, machine, dmaBits, backend, seed }): TestRecord => {
    const record: TestRecord = { params: { machine, dmaBits, backend, seed }, metrics: {}, kernelReports: [] };
    task.meta.rig = record;
    return record;
  })
  /** Makes CPU time in the guest a number of instructions, 1 ns each, where the accelerator can. */
  .extend('countsInstructions', false)
  /** What a microsecond of CPU time in the guest then is called. */
  .extend('cpuUnit', ({ countsInstructions }) => {
    return countsInstructions && inject('rig').accelerator === 'tcg' ? 'k instr' : 'µs';
  })
  /** How often a bench measures each thing that it compares. */
  .extend('rounds', () => inject('rig').selection.rounds)
  /** For a bench: puts a quantity into the report. */
  .extend('report', ({ record }) => (measurement: Measurement) => {
    (record.measurements ??= []).push(measurement);
  })
  .extend(
    'vm',
    async (
      { task, signal, annotate, machine, dmaBits, kernelArgs, countsInstructions, provokes, record },
      { onCleanup },
    ) => {
      const rig = inject('rig');
      await annotate('booting', 'step');
      const vm = await Vm.boot({
        profile: await loadMachineProfile(machine),
        accelerator: rig.accelerator,
        countsInstructions: countsInstructions && rig.accelerator === 'tcg',
        software: rig.build,
        gpu: { dmaBits, ...GPU_MEMORY },
        kernelArgs,
        folder: path.join(rig.artifacts, folderName(task.fullTestName)),
        signal,
      });
      onCleanup(() => endVm(vm, record, provokes, task.result?.state === 'fail'));
      if (vm.state.kind === 'ready') record.metrics['bootMs'] = Math.round(vm.state.bootMs);
      return vm;
    },
  )
  .extend('guest', ({ vm }) => new Guest(vm))
  .extend('gpu', ({ vm, guest }) => new Gpu(vm, guest))
  .extend('stressFixtures', ({ guest, gpu, seed, record, annotate }): StressFixtures => {
    return { guest, gpu, seed, failAllocations: false, record, annotate };
  })
  /** Runs a test program of the guest, and hears the witnesses. */
  .extend('run', ({ stressFixtures }) => {
    return <Report extends ProgramReport>(
      name: string,
      options: Readonly<Record<string, string | number>>,
      report: z.ZodType<Report>,
    ) => runWithWitnesses(stressFixtures, name, options, report);
  })
  /** Stresses the device with objects worth so many bytes, and hears the witnesses. */
  .extend('stress', ({ stressFixtures }) => (bytes: number, objectSize = USUAL_OBJECT_SIZE) => {
    return stressWithWitnesses(stressFixtures, bytes, objectSize);
  });

/** Judges what only shows afterwards (a kernel report fails a test that passed), and frees the VM. */
async function endVm(
  vm: Vm,
  record: TestRecord,
  provoked: readonly KernelReportKind[],
  failed: boolean,
): Promise<void> {
  record.kernelReports.push(...vm.kernelReports.filter(({ kind }) => !provoked.includes(kind)));
  const [report] = record.kernelReports;
  const keep = failed || report !== undefined || inject('rig').selection.keep;
  if (keep) {
    record.artifacts = vm.folder.path;
    await vm.folder.writeJson('device-stats.json', await lastStatistics(vm));
  }
  await vm.end({ keep, verdict: { status: keep && (failed || report) ? 'failed' : 'passed', ...record } });
  if (report) throw new RigError('kernel', `The guest's kernel reported: ${report.title}`);
}

/** Of a dead VM there are none, and that must not hide why it died. */
async function lastStatistics(vm: Vm): Promise<unknown> {
  if (vm.state.kind !== 'ready') return { missing: 'The VM was dead.' };
  return new Gpu(vm, new Guest(vm)).statistics().catch((error: unknown) => ({ missing: String(error) }));
}

function folderName(testName: string): string {
  return testName.replaceAll(/[^\w.-]+/g, '-').replaceAll(/^-+|-+$/g, '');
}
