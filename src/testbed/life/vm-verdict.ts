/** The end of a test's VM: what only shows afterwards, what is kept of it, and whether the test still passes. */
import { readdir } from 'node:fs/promises';
import { inject } from 'vitest';
import { inScope } from '../../util/closing-scope.ts';
import { RigError } from '../../util/rig-error.ts';
import { distinctReports } from '../../vm/kernel-log/distinct-reports.ts';
import type { Vm } from '../../vm/vm.ts';
import { Gpu } from '../device/gpu.ts';
import { Guest } from '../guest/guest.ts';
import { examineKernel, taintsLeftBy } from '../guest/kernel-health.ts';
import { whileNotSampling } from '../guest/memory-sampler.ts';
import type { JudgedReport, RigContext, TestRecord } from '../../plan/rig-context.ts';
import { unknownWarnings } from '../../vm/kernel-log/known-warnings.ts';
import { DUMP_FILE } from '../../vm/memory-dump.ts';
import { TRACE_FILE } from '../../vm/trace/guest-trace.ts';
import { sourceLines } from '../../vm/kernel-log/source-lines.ts';
import { fetchCounters } from './counters.ts';
import { TIME_LINE_FILE, type Tracing } from './tracing.ts';
import { notSaid, provokedKinds, unprovoked, type Provoked } from './provoked.ts';

interface Expectations {
  readonly failed: boolean;
  /** Keep the artifacts though nothing failed. */
  readonly keep?: boolean;
  readonly provokes: readonly Provoked[];
  /** What the test has tainted the kernel with, beside what the reports that it provokes leave. */
  readonly taints?: readonly string[];
  /** Where the counters of its kernel go, of a kernel that counts what it executes. */
  readonly countersTo?: string;
  /** What is recorded of it. */
  readonly tracing?: Pick<Tracing, 'stop' | 'keep'>;
}

/** Ends the VM, whatever is found, and whatever fails while it is looked for. */
export async function endVm(
  vm: Vm,
  record: TestRecord,
  { failed, provokes, taints = [], keep: wanted = false, countersTo, tracing }: Expectations,
  rig: RigContext = inject('rig'),
): Promise<void> {
  let [keep, status] = [true, 'failed'];
  await inScope(async (scope) => {
    // By then all of them are written.
    scope.defer(async () => {
      const evidence = keep ? await evidenceIn(vm.folder.path) : [];
      if (evidence.length > 0) record.evidence = evidence;
    });
    scope.defer(() => vm.end({ keep, verdict: { status, ...record } }));
    scope.defer(async () => {
      if (!keep) return;
      record.artifacts = vm.folder.path;
      await vm.folder.writeJson('device-stats.json', record.deviceStatistics ?? {});
    });
    if (tracing) {
      await tracing.stop();
      scope.defer(() => (keep ? tracing.keep() : undefined));
    }
    // What the kernel does while it is examined counts, too.
    if (countersTo !== undefined) scope.defer(() => fetchCounters(vm, countersTo));
    const unheard = await hearOut(vm, provokes);
    record.kernelReports.push(...(await judgeReports(vm, provokes, rig)));
    const failure = (await hiddenFailure(vm, record, { provokes, taints }, rig)) ?? unheard;
    const warnings = unknownWarnings(unprovoked(vm.kernelWarnings, provokes));
    if (warnings.length > 0) record.warnings = warnings;
    record.deviceStatistics = await lastStatistics(vm);
    const bad = failed || failure !== undefined;
    [keep, status] = [bad || wanted || rig.selection.keep, bad ? 'failed' : 'passed'];
    if (failure) throw failure;
  });
}

/** A kernel that locks up, as the test wants it to, may never print again; of that all is heard that was awaited. */
async function hearOut(vm: Vm, provokes: readonly Provoked[]): Promise<Error | undefined> {
  if (vm.state.kind !== 'ready') return undefined;
  const heard = missingIn(vm, provokes).length === 0;
  if (heard && taintsLeftBy(provokedKinds(provokes)) === undefined) return undefined;
  return vm.hearKernelOut().then(
    () => undefined,
    (error: unknown) => vm.explain(error),
  );
}

function missingIn(
  { kernelReports: reports, kernelWarnings: warnings }: Vm,
  provokes: readonly Provoked[],
): Provoked[] {
  return notSaid(provokes, { reports, warnings });
}

async function judgeReports(
  vm: Vm,
  provokes: readonly Provoked[],
  { build: { kernel } }: RigContext,
): Promise<JudgedReport[]> {
  const judged = distinctReports(vm.kernelReports).map(async (report) => {
    const source = report.where === undefined ? [] : await sourceLines(kernel, report.where);
    const expected = provokedKinds(provokes).includes(report.kind);
    return { ...report, expected, ...(source.length > 0 ? { source } : {}) };
  });
  return Promise.all(judged);
}

/** What fails a test that has passed. */
async function hiddenFailure(
  vm: Vm,
  { kernelReports }: TestRecord,
  { provokes, taints }: Required<Pick<Expectations, 'provokes' | 'taints'>>,
  { selection }: RigContext,
): Promise<RigError | undefined> {
  const report = kernelReports.find(({ severity, expected }) => severity === 'bug' && !expected);
  if (report) return new RigError('kernel', `The guest's kernel reported: ${report.title}`);
  const missing = missingIn(vm, provokes);
  if (missing.length > 0) {
    return new RigError('test', `The kernel should have said, and did not: ${missing.join(', ')}`);
  }
  const expected = taintsLeftBy(provokedKinds(provokes));
  if (vm.state.kind !== 'ready' || expected === undefined) return undefined;
  const guest = new Guest(vm);
  // What a driver holds on to for ever is no leak before the driver is gone.
  if (selection.flavour === 'kmemleak')
    await guest.exec(whileNotSampling('test ! -d /sys/module/edgpu || rmmod edgpu'));
  const complaints = await examineKernel(guest, [...expected, ...taints]).catch((error: unknown) => vm.explain(error));
  if (complaints instanceof Error) return new RigError('infrastructure', complaints.message, { cause: complaints });
  return complaints.length === 0 ? undefined : new RigError('kernel', complaints.join('\n'));
}

/** Of a dead VM there are none, and that must not hide why it died. */
async function lastStatistics(vm: Vm): Promise<Record<string, number>> {
  if (vm.state.kind !== 'ready') return {};
  return new Gpu(vm, new Guest(vm)).statistics().catch(() => ({}));
}

/** Files of what led to a failure, which a report points to. */
const EVIDENCE: readonly string[] = [TIME_LINE_FILE, TRACE_FILE, DUMP_FILE, 'hang-registers.txt', 'failures.csv'];

async function evidenceIn(folder: string): Promise<string[]> {
  const there: string[] = await readdir(folder).catch(() => []);
  return EVIDENCE.filter((name) => there.includes(name));
}
