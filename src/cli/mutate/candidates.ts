/** The mutants that can be judged: of lines of the series and the driver, or of a person's own patches. */
import { DRIVER_GRAFT, PATCH_FOLDER } from '../../builds/kernel/kernel-build.ts';
import { readSeries, touchedFiles, type Patch } from '../../builds/tree/patch-series.ts';
import type { Sources } from '../../report/coverage/coverage-report.ts';
import { suitesByLine, type CoverageRecord } from '../../report/coverage/covering-suites.ts';
import { ownersOfLines } from '../../series/added-lines.ts';
import { mutantsOf, type Mutant } from '../../series/mutants/mutants.ts';
import { RigError } from '../../util/rig-error.ts';
import type { Candidate } from './campaign.ts';

interface Scope {
  /** A person's own patches: where there are some, the mutants are of what they add. */
  readonly own: readonly Patch[];
  readonly coverage: readonly CoverageRecord[];
  /** Those that are run. */
  readonly suites: readonly string[];
}

/** Refused before anything is built. */
export function requireC(own: readonly Patch[]): void {
  const files = own.flatMap(touchedFiles);
  if (own.length === 0 || files.some((file) => file.endsWith('.c'))) return;
  throw new RigError('usage', `--patch ${own.map(({ name }) => name).join(', ')}: no file of C is changed there.`, {
    remedy: 'Without --patch the mutants are of the series and the driver.',
  });
}

export async function candidatesIn(sources: Sources, scope: Scope): Promise<Candidate[]> {
  const series = await readSeries(PATCH_FOLDER);
  const found = await Promise.all([...sources].map(([file, lines]) => candidatesOf(file, lines, series, scope)));
  const all = found.flat();
  if (all.length > 0) return all;
  const what = scope.own.length === 0 ? 'the series and the driver' : 'these patches';
  throw new RigError(
    'usage',
    `There is no mutant of ${what} that these suites could notice: ${scope.suites.join(', ')}.`,
    {
      remedy:
        scope.coverage.length === 0
          ? 'What they add is nothing that this kernel is compiled from, or nothing that is done.'
          : 'By --coverage they reach none of its lines.',
    },
  );
}

async function candidatesOf(
  file: string,
  lines: readonly string[],
  series: readonly Patch[],
  { own, coverage, suites }: Scope,
): Promise<Candidate[]> {
  const text = lines.join('\n');
  const owners = ownersOfLines(file, text, [...series, ...own]);
  const whole = own.length === 0 && file.startsWith(`${DRIVER_GRAFT.to}/`);
  const wanted = owners.flatMap((owner, index) => {
    const is = whole || (owner !== undefined && (own.length === 0 || own.includes(owner)));
    return is ? [index + 1] : [];
  });
  if (wanted.length === 0) return [];
  const mutants = await mutantsOf(file, text, new Set(wanted));
  const covering = coverage.length === 0 ? undefined : suitesByLine(coverage, file, lines);
  return mutants.flatMap((mutant) => {
    const reached =
      covering === undefined ? suites : suitesOf(mutant, covering).filter((name) => suites.includes(name));
    return reached.length === 0 ? [] : [{ mutant, suites: reached }];
  });
}

/** Of a statement of several lines the compiler may have counted the first ones only. */
function suitesOf({ line, statement }: Mutant, covering: ReadonlyMap<number, readonly string[]>): readonly string[] {
  for (let at = line; at >= statement; at--) {
    const found = covering.get(at);
    if (found) return found;
  }
  return [];
}
