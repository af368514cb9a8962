/**
 * `dgpu-rig kernel upstream-verdicts`: runs the kernel's own tests on the unpatched kernel, and records what they say.
 */
import { prepareRun } from '../../plan/prepare-run.ts';
import { suiteFiles } from '../../plan/suite-files.ts';
import { VERDICTS_FILE, writeUpstreamVerdicts } from '../../plan/upstream-verdicts.ts';
import { vitestProject } from '../../plan/vitest-projects.ts';
import { EXIT_CODES } from '../../util/rig-error.ts';
import type { UpstreamOptions } from '../options/option-table.ts';
import { runRequest } from '../options/run-request.ts';
import type { Session } from '../session.ts';
import { runVitest } from './vitest-run.ts';

const SUITES = ['kunit', 'selftests'];
/** Without the others, which say what is wrong with that kernel. */
const TESTS = /KUnit|hmm-tests/;

/**
 * Nothing is written when one of the tests could not be run to its end: on this kernel that is all they can fail for.
 */
export async function upstreamVerdictsVerb(options: UpstreamOptions, session: Session): Promise<number> {
  const rig = await prepareRun(runRequest({ ...options, unpatched: true }, session));
  const { flavour, machine } = rig.selection;
  const include = await suiteFiles(SUITES);
  const projects = [vitestProject('suites', { include, maxVms: options.maxVms, flavour })];
  const { results } = await runVitest({ projects, rig, filter: TESTS }, session);
  if (results.some(({ failure }) => failure)) return EXIT_CODES.test;
  const tests = results.flatMap(({ test, cases }) =>
    cases ? [[test.split(' > ').at(-1) ?? test, cases] as const] : [],
  );
  await writeUpstreamVerdicts({ kernel: rig.build.kernel.version, machine }, Object.fromEntries(tests));
  session.progress.print(`${VERDICTS_FILE}: what ${String(tests.length)} tests say on the unpatched kernel.`);
  return 0;
}
