/**
 * What the kernel's own tests say on the unpatched kernel, case by case: the series must not change it. The file is
 * written by `dgpu-rig kernel upstream-verdicts` and read by the suite `kunit`; what the self-tests of HMM say there is
 * for docs/positions.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { repositoryPath } from '../config/paths.ts';
import { RigError } from '../util/rig-error.ts';
import type { CaseVerdicts } from './ktap.ts';

export const VERDICTS_FILE = repositoryPath('guest-kernel/upstream-verdicts.json');

const STATUSES = ['pass', 'fail', 'skip'] as const;

/** Cases by verdict, which is shorter than the other way round, and shows at a glance what does not pass. */
const casesByVerdict = z.strictObject({
  pass: z.array(z.string()),
  fail: z.array(z.string()),
  skip: z.array(z.string()),
});

const verdictsFile = z.strictObject({
  kernel: z.string(),
  machine: z.string(),
  /** By the name of the test program or module. */
  tests: z.record(z.string(), casesByVerdict),
});

type UpstreamVerdicts = z.infer<typeof verdictsFile>;

/** What the unpatched kernel said to this test; nothing is to be expected of one that it does not have. */
export async function upstreamVerdicts(test: string): Promise<CaseVerdicts> {
  const { tests } = await readVerdicts();
  const found = tests[test];
  if (found === undefined) {
    throw new RigError('usage', `${VERDICTS_FILE} does not say what ${test} says on the unpatched kernel.`, {
      remedy: 'Record it: ./dgpu-rig kernel upstream-verdicts',
    });
  }
  return Object.fromEntries(STATUSES.flatMap((status) => found[status].map((name) => [name, status])));
}

async function readVerdicts(): Promise<UpstreamVerdicts> {
  return verdictsFile.parse(JSON.parse(await readFile(VERDICTS_FILE, 'utf8')));
}

export async function writeUpstreamVerdicts(
  facts: Omit<UpstreamVerdicts, 'tests'>,
  tests: Readonly<Record<string, CaseVerdicts>>,
): Promise<void> {
  const grouped = Object.entries(tests)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, verdicts]) => [name, groupByVerdict(verdicts)] as const);
  await writeFile(VERDICTS_FILE, `${JSON.stringify({ ...facts, tests: Object.fromEntries(grouped) }, undefined, 1)}\n`);
}

function groupByVerdict(verdicts: CaseVerdicts): z.infer<typeof casesByVerdict> {
  const names = (wanted: string): string[] =>
    Object.entries(verdicts).flatMap(([name, status]) => (status === wanted ? [name] : []));
  return { pass: names('pass'), fail: names('fail'), skip: names('skip') };
}

/**
 * What differs from the unpatched kernel: a case that is gone or says something else, or a new one that does not pass.
 */
export function verdictChanges(upstream: CaseVerdicts, now: CaseVerdicts): string[] {
  const names = [...new Set([...Object.keys(upstream), ...Object.keys(now)])];
  return names.flatMap((name) => {
    const [before, after] = [upstream[name], now[name]];
    if (after === undefined) return [`${name}: ${before ?? ''} without the series, missing with it`];
    if (before === undefined) return after === 'fail' ? [`${name}: new, and fails`] : [];
    return before === after ? [] : [`${name}: ${before} without the series, ${after} with it`];
  });
}
