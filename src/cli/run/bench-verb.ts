/** `dgpu-rig bench`: measures, and compares with what upstream has; nothing fails for being slow. */
import type { Flavour } from '../../config/flavour.ts';
import { benchTable } from '../../report/text/bench-table.ts';
import { composeReport } from '../../report/compose-report.ts';
import { runExitCode } from '../../report/judge/outcome.ts';
import { writeReports } from '../../report/formats/report-files.ts';
import { prepareRun } from '../../plan/prepare-run.ts';
import { benchFiles } from '../../plan/suite-files.ts';
import { vitestProject } from '../../plan/vitest-projects.ts';
import { RigError } from '../../util/rig-error.ts';
import { recordRun } from './recorded-runs.ts';
import { checkReportFiles, runRequest, type BenchOptions } from '../options/run-options.ts';
import type { Session } from '../session.ts';
import { runVitest } from './vitest-run.ts';

/** Alone, a bench gets the kernel that it can't do without. */
const KERNELS: Readonly<Record<string, Flavour>> = { boot: 'hostfs' };

export async function benchVerb(names: readonly string[], given: BenchOptions, session: Session): Promise<number> {
  const [only = ''] = names;
  const own = names.length === 1 && given.flavour === 'plain' ? KERNELS[only] : undefined;
  const options = { ...given, flavour: own ?? given.flavour };
  const include = await benchFiles(names);
  await checkReportFiles(options);
  const { progress } = session;
  const rig = await prepareRun(runRequest(options, session));
  const { filter } = options;
  // What is measured has the host to itself, as far as that is up to us.
  const projects = [vitestProject('benches', { include, maxVms: 1, flavour: options.flavour })];
  const reporter = await runVitest({ projects, rig, filter }, session);

  const results = reporter.results.filter(({ status }) => status !== 'skip' || filter === undefined);
  if (results.length === 0) throw new RigError('usage', `No bench's name matches ${String(filter)}.`);
  const report = composeReport(rig, results);
  await writeReports(options, report);
  recordRun(report, progress.print);
  if (options.keep) progress.print(`Artifacts: ${rig.artifacts}`);
  progress.stop();
  const { accelerator, selection } = rig;
  const how = `Medians of ${String(selection.rounds)} rounds in turn, ${accelerator}, seed ${String(selection.seed)}`;
  process.stdout.write(`\n${how}\n\n${benchTable(results)}\n`);
  return runExitCode(reporter.failures);
}
