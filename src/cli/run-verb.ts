/** `dgpu-rig run`: builds what is missing, boots, runs suites, judges. */
import { composeReport, writeReport } from '../report/json-report.ts';
import { runExitCode } from '../report/outcome.ts';
import { summarize } from '../report/run-report.ts';
import { summaryLine } from '../report/summary-line.ts';
import { verdictTable } from '../report/verdict-table.ts';
import { prepareRun } from '../suite/run-context.ts';
import { suiteFiles } from '../suite/suite-files.ts';
import { vitestProject } from '../suite/vitest-projects.ts';
import { RigError } from '../util/rig-error.ts';
import { checkReportFile, runRequest, type RunOptions } from './run-options.ts';
import type { Session } from './session.ts';
import { runVitest } from './vitest-run.ts';

export async function runVerb(names: readonly string[], options: RunOptions, session: Session): Promise<number> {
  const files = await suiteFiles(names);
  await checkReportFile(options.json);
  const { progress } = session;
  const rig = await prepareRun(runRequest(options, session));
  const { build, accelerator, selection } = rig;
  progress.print(
    `Linux ${build.kernel.version}, QEMU ${build.qemu.version}, ${accelerator}, seed ${String(selection.seed)}`,
  );
  const { filter, maxVms } = options;
  const reporter = await runVitest(
    { projects: [vitestProject('suites', { include: files, maxVms })], rig, filter },
    session,
  );

  const results = reporter.results.filter(({ status }) => status !== 'skip' || filter === undefined);
  if (results.length === 0) throw new RigError('usage', `No test's name matches ${String(filter)}.`);
  if (options.json !== undefined) await writeReport(options.json, composeReport(rig, results));
  if (options.keep) progress.print(`Artifacts: ${rig.artifacts}`);
  progress.stop();
  const { pass, fail, error } = summarize(results);
  process.stdout.write(`\n${verdictTable(results)}\n\n${summaryLine(pass, fail + error)}\n`);
  return runExitCode(reporter.failures);
}
