/** `dgpu-rig bench`: measures, and compares with what upstream has; nothing fails for being slow. */
import type { Flavour } from '../../config/flavour.ts';
import type { OnResult } from '../../report/judge/rig-reporter.ts';
import { benchTable } from '../../report/text/bench-table.ts';
import { cutShortText } from '../../report/text/cut-short-text.ts';
import { prepareRun } from '../../plan/prepare-run.ts';
import { benchFiles } from '../../plan/suite-files.ts';
import { vitestProject } from '../../plan/vitest-projects.ts';
import { JudgedRun } from './judged-run.ts';
import type { BenchOptions } from '../options/option-table.ts';
import { checkReportFiles, runRequest } from '../options/run-request.ts';
import type { Session } from '../session.ts';
import { keepRecord, requireResults, writeFiles } from './run-conclusion.ts';
import { runVitest } from './vitest-run.ts';

/** A bench that is run alone gets the kernel that it needs. */
const KERNELS: Readonly<Record<string, Flavour>> = { boot: 'hostfs' };

export async function benchVerb(names: readonly string[], given: BenchOptions, session: Session): Promise<number> {
  const [only = ''] = names;
  const own = names.length === 1 && given.flavour === 'plain' ? KERNELS[only] : undefined;
  const options = { ...given, flavour: own ?? given.flavour };
  const include = await benchFiles(names);
  await checkReportFiles(options);
  const rig = await prepareRun(runRequest(options, session));
  const { filter } = options;
  // One VM at a time, so that nothing else of the rig's disturbs what is measured.
  const projects = [vitestProject('benches', { include, maxVms: 1, flavour: options.flavour })];
  const run = new JudgedRun(rig, session);
  const onResult: OnResult = (result, matches) => run.addOrLeaveOut(result, matches || filter === undefined);
  await run.judge(async () => {
    await runVitest({ projects, rig, filter, onResult }, session);
    requireResults(run.results, filter, run.leftOut);
  }, session);
  const { report } = keepRecord(run.report, options, session, run);
  const { acceleration, selection } = rig;
  const how = `Medians of ${String(selection.rounds)} rounds in turn, ${acceleration.accelerator}, seed ${String(selection.seed)}`;
  process.stdout.write(`\n${how}\n\n${benchTable(run.results)}\n${cutShortText(report)}`);
  return writeFiles(report, options);
}
