/**
 * The fixtures that suites are written against: `vm` (a booted machine), `guest` (commands in it), `gpu` (the emulated
 * device, its driver and its witnesses). `machine`, `dmaBits` and `backend` say which, and can be overridden per
 * describe().
 */
import { readFile } from 'node:fs/promises';
import { inject, test as base } from 'vitest';
import type { z } from 'zod';
import { machineName } from '../config/machine-name.ts';
import { loadMachineProfile } from '../config/machine-profile.ts';
import { timeLimits, type Accelerator } from '../vm/time-limits.ts';
import type { SleepOptions } from '../vm/sleep/sleep.ts';
import type { SleepRecord, SleepState } from '../vm/sleep/sleep-stages.ts';
import type { Vm, VmSpec } from '../vm/vm.ts';
import { canFailAllocations } from './programs/allocation-failures.ts';
import { GPU_MEMORY } from '../config/gpu-memory.ts';
import { Gpu } from './device/gpu.ts';
import { Guest } from './guest/guest.ts';
import { sampleMemory } from './guest/memory-sampler.ts';
import { appended, type Measurement, type TestRecord } from '../plan/rig-context.ts';
import type { ProgramReport } from './programs/stress-program.ts';
import { BugLimit } from './life/bug-limit.ts';
import { countersFolder } from './life/counters.ts';
import type { Provoked } from './life/provoked.ts';
import { endVm } from './life/vm-verdict.ts';
import { Sleeper, type SleeperOptions } from './programs/sleeper.ts';
import { machineFor } from '../plan/usual-machine.ts';
import { takeRoom } from '../plan/vm-admission.ts';
import { acceleratorOf } from './life/vm-accelerator.ts';
import { Tracing } from './life/tracing.ts';
import { startVm, vmFolder } from './life/vm-start.ts';
import {
  runWithWitnesses,
  stressWithWitnesses,
  USUAL_OBJECT_SIZE,
  type StressFixtures,
} from './witnesses/witnessed-stress.ts';

export type { Vm };

/** The report keeps so many of each test. */
const MOST_SLEEPS = 50;

export const test = base
  .extend('dmaBits', () => inject('rig').selection.dmaBits[0] ?? 32)
  .extend('machine', ({ dmaBits }) => machineFor(inject('rig').selection, dmaBits))
  .extend('backend', () => inject('rig').selection.backend)
  /** The size of the device's memory. */
  .extend('vramMiB', (): number => GPU_MEMORY.vramMiB)
  /** More of the kernel's command line than the machine's own. */
  .extend('kernelArgs', (): readonly string[] => [])
  /**
   * What the test makes the kernel say: kinds of reports, and patterns for lines that belong to none. The test fails if
   * one of them does not come; reports that come do not fail it, and lines that come are not listed.
   */
  .extend('provokes', (): readonly Provoked[] => [])
  /**
   * Names of what the test itself taints its kernel with, where that is no sign of trouble: the test adds them once it
   * has seen that. See src/testbed/guest/kernel-health.ts.
   */
  .extend('taints', (): string[] => [])
  /** The kernel has neither the series nor the driver. */
  .extend('unpatched', () => inject('rig').build.kernel.unpatched)
  .extend('flavour', () => inject('rig').selection.flavour)
  /**
   * Says that it is all the same to the test whether its guest was booted or is a clone of one: then it is there in
   * half a second.
   */
  .extend('stateless', false)
  /** Folders of the host, and a Debian userland: what a person gives the VMs of their own programs. */
  .extend('brought', (): Pick<VmSpec, 'shares' | 'userland'> => ({}))
  /** Keeps the artifacts though nothing failed. */
  .extend('keep', false)
  .extend('seed', () => inject('rig').selection.seed)
  .extend('record', ({ task, machine, dmaBits, backend, flavour, seed }): TestRecord => {
    const params = { machine: machineName(machine), dmaBits, backend, flavour, seed };
    const record: TestRecord = { params, metrics: {}, kernelReports: [] };
    task.meta.rig = record;
    return record;
  })
  /** Makes CPU time in the guest a number of instructions, 1 ns each. TCG alone can count them, so it is TCG then. */
  .extend('countsInstructions', false)
  /** What a microsecond of CPU time in the guest then is called. */
  .extend('cpuUnit', ({ countsInstructions }) => {
    return countsInstructions ? 'k instr' : 'µs';
  })
  /** How often a bench measures each thing that it compares. */
  .extend('rounds', () => inject('rig').selection.rounds)
  /** For a bench: puts a quantity into the report. */
  .extend('report', ({ record }) => (measurement: Measurement) => {
    (record.measurements ??= []).push(measurement);
  })
  /** KVM where this machine can have it, and nothing is to be counted. */
  .extend('accelerator', async ({ machine, countsInstructions, signal, record }): Promise<Accelerator> => {
    const rig = inject('rig');
    return (record.accelerator = countsInstructions ? 'tcg' : await acceleratorOf(rig, machine, signal));
  })
  /** On the host, which may have to wait for the end of another VM. */
  .extend('room', async ({ machine, vramMiB, signal, annotate }, { onCleanup }) => {
    await annotate('waiting for memory', 'step');
    const room = await takeRoom(await loadMachineProfile(machine), vramMiB, signal);
    onCleanup(room.leave);
    return room;
  })
  .extend(
    'vm',
    async (
      {
        task,
        signal,
        annotate,
        machine,
        dmaBits,
        vramMiB,
        kernelArgs,
        brought,
        countsInstructions,
        accelerator,
        stateless,
        room,
        provokes,
        taints,
        keep,
        record,
      },
      { onCleanup },
    ) => {
      const rig = inject('rig');
      await annotate(stateless ? 'starting its VM' : 'booting', 'step');
      const limit = new BugLimit({
        provokes,
        limitMs: rig.endsAtBug ? 0 : timeLimits(accelerator, rig.selection.flavour, rig.patience).afterBug,
        // A test that has ended has no progress any more.
        tell: (detail) => annotate(detail, 'step').catch(() => undefined),
      });
      const spec: VmSpec = {
        profile: await loadMachineProfile(machine),
        accelerator,
        countsInstructions,
        ...(rig.patience === undefined ? {} : { patience: rig.patience }),
        software: rig.build,
        gpu: { dmaBits, vramMiB, apertureMiB: Math.min(vramMiB, GPU_MEMORY.apertureMiB) },
        kernelArgs: [...kernelArgs, ...appended(rig)],
        ...brought,
        tracesDevice: rig.traceSettings !== undefined,
        folder: vmFolder(rig.artifacts, task),
        onReport: (report) => limit.heard(report),
        signal: AbortSignal.any([signal, limit.signal]),
      };
      const countersTo = await countersFolder(rig, task);
      const { vm, cloned } = await startVm(spec, { stateless, onFallback: (why) => annotate(why, 'notice') });
      const tracing = new Tracing(vm, rig.traceSettings);
      limit.watch(tracing);
      room.usedBy(vm.pid);
      record.metrics['cloned'] = Number(cloned);
      onCleanup(async () => {
        // A test that is interrupted has no result, but whoever interrupted it may want to see what its guest did.
        const failed = task.result?.state === 'fail' || signal.aborted;
        // It goes on until the VM has been asked for the last time.
        const ending = { failed, provokes, taints, keep, tracing, ...(countersTo === undefined ? {} : { countersTo }) };
        await endVm(vm, record, ending).finally(() => limit.end());
      });
      await tracing.begin();
      for (const { path: name, file, mode } of rig.fresh) await vm.putFile(name, await readFile(file), mode);
      // A bench has its guest to itself.
      if (task.file.projectName === 'suites') sampleMemory(vm, (record.memory = []));
      if (vm.state.kind === 'ready') record.metrics['bootMs'] = Math.round(vm.state.bootMs);
      await annotate('running the test', 'step');
      return vm;
    },
  )
  .extend('guest', ({ vm }) => new Guest(vm))
  .extend('gpu', ({ vm, guest }) => new Gpu(vm, guest))
  /** The second device, on a machine that has one. */
  .extend('gpu1', ({ vm, guest }) => new Gpu(vm, guest, 1))
  .extend('stressFixtures', async ({ guest, gpu, seed, record, annotate }): Promise<StressFixtures> => {
    return { guest, gpu, seed, failAllocations: await canFailAllocations(guest), record, annotate };
  })
  /** Puts the guest to sleep and wakes it up; the times of its stages go into the report. */
  .extend('suspend', ({ vm, record }) => async (state: SleepState, options?: SleepOptions): Promise<SleepRecord> => {
    const sleep = await vm.suspend(state, options);
    record.sleeps = [...(record.sleeps ?? []), sleep].slice(-MOST_SLEEPS);
    return sleep;
  })
  /** Starts the program whose objects have to survive that. */
  .extend('startSleeper', ({ guest, seed }) => (options: Omit<SleeperOptions, 'seed'>) => {
    return Sleeper.start(guest, { ...options, seed });
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
