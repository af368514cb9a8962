/** The one record of a run, from which everything else that is written about it is made. */
import { cpus, totalmem } from 'node:os';
import type { Shard } from '../config/shard.ts';
import type { RigContext } from '../plan/rig-context.ts';
import {
  runReport,
  summarize,
  type Asked,
  type CutShort,
  type RunFacts,
  type RunReport,
  type TestResult,
} from './run-report.ts';

/** What is the same for all results of a run. */
export function runFacts(rig: RigContext): RunFacts {
  const { build, acceleration, selection, startedAt, commit } = rig;
  return {
    schema: 1,
    host: { cpus: cpus().length, memoryBytes: totalmem(), ...acceleration },
    kernel: kernelFacts(build.kernel),
    qemu: build.qemu.version,
    sources: { ...build.sources },
    ...(commit === undefined ? {} : { rig: commit }),
    startedAt,
    seed: selection.seed,
    asked: askedOf(rig),
  };
}

function kernelFacts({ version, patches, patchset, commit }: RigContext['build']['kernel']): RunReport['kernel'] {
  return { version, patches: [...patches], patchset, ...(commit === undefined ? {} : { commit }) };
}

function askedOf({ selection, sources }: RigContext): Asked {
  const {
    machine,
    wider,
    dmaBits,
    backend,
    cycles,
    durationMs,
    append,
    trace,
    programs,
    shares = [],
    install,
    outside = [],
  } = selection;
  return {
    ...{ machine, dmaBits: [...dmaBits], backend, ...sourcesAsked(sources) },
    ...(append === undefined ? {} : { append }),
    ...(trace === undefined ? {} : { trace: [...trace] }),
    ...(wider === undefined ? {} : { wider }),
    ...(cycles === undefined ? {} : { cycles }),
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(outside.length === 0 ? {} : { outside: [...outside] }),
    ...(programs === undefined ? {} : { exec: [...programs.commands], put: [...programs.put] }),
    ...(shares.length === 0 ? {} : { share: [...shares] }),
    ...(install === undefined ? {} : { install: [...install] }),
    ...(programs?.timeoutMs === undefined ? {} : { timeoutMs: programs.timeoutMs }),
  };
}

function sourcesAsked({ kconfig, patches, ...sources }: RigContext['sources']): Partial<Asked> {
  return {
    ...sources,
    ...(kconfig === undefined ? {} : { kconfig: [...kconfig] }),
    ...(patches === undefined ? {} : { patch: [...patches] }),
  };
}

interface Ending {
  readonly shard?: Shard | undefined;
  readonly cutShort?: CutShort | undefined;
}

export function composeReport(rig: RigContext, results: readonly TestResult[], ending: Ending = {}): RunReport {
  return runReport.parse({ ...runFacts(rig), ...ending, results, summary: summarize(results) });
}
