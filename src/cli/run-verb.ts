/** `dgpu-rig run`: builds what is missing, boots, runs suites, judges. */
import { composeReport, runFacts } from '../report/compose-report.ts';
import { openEventLog } from '../report/event-log.ts';
import { runExitCode } from '../report/outcome.ts';
import { writeReports } from '../report/report-files.ts';
import { summarize } from '../report/run-report.ts';
import { summaryLine } from '../report/summary-line.ts';
import { verdictTable } from '../report/verdict-table.ts';
import { prepareRun } from '../suite/run-context.ts';
import { suiteFiles } from '../suite/suite-files.ts';
import { vitestProject } from '../suite/vitest-projects.ts';
import { RigError } from '../util/rig-error.ts';
import { checkReportFiles, runRequest, type RunOptions } from './run-options.ts';
import { measureRates } from './failure-rates.ts';
import { loggedSession, type Session } from './session.ts';
import { runVitest, type VitestRequest } from './vitest-run.ts';

export async function runVerb(names: readonly string[], options: RunOptions, quiet: Session): Promise<number> {
  const files = await suiteFiles(names);
  await checkReportFiles(options);
  const log = openEventLog(options.jsonl);
  const session = loggedSession(quiet, log);
  const { progress } = session;
  const rig = await prepareRun(runRequest(options, session));
  log({ type: 'run-start', ...runFacts(rig) });
  const { build, accelerator, selection } = rig;
  const { flavour } = selection;
  progress.print(
    `Linux ${build.kernel.version} (${flavour}), QEMU ${build.qemu.version}, ${accelerator}, seed ${String(selection.seed)}`,
  );
  const { filter, maxVms } = options;
  const request: VitestRequest = {
    projects: [vitestProject('suites', { include: files, maxVms, flavour })],
    rig,
    filter,
    onResult: (result) => log({ type: 'test-end', result }),
  };
  const reporter = await runVitest(request, session);

  const ran = reporter.results.filter(({ status }) => status !== 'skip' || filter === undefined);
  const results = await measureRates(ran, options.repeat ?? 0, request, session);
  if (results.length === 0) throw new RigError('usage', `No test's name matches ${String(filter)}.`);
  await writeReports(options, composeReport(rig, results));
  if (options.keep) progress.print(`Artifacts: ${rig.artifacts}`);
  progress.stop();
  const summary = summarize(results);
  const { pass, fail, error, xfail } = summary;
  process.stdout.write(`\n${verdictTable(results)}\n\n${summaryLine(pass + xfail, fail + error)}\n`);
  const exitCode = runExitCode(reporter.failures);
  log({ type: 'run-end', summary, exitCode });
  return exitCode;
}
