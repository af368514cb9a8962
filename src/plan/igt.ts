/**
 * What IGT's programs print, and what is expected of them: in the form that the kernel's own drm-ci has in
 * drivers/gpu/drm/ci/xfails.
 */
import { readFile } from 'node:fs/promises';
import { repositoryPath } from '../config/paths.ts';
import type { Subtest } from './rig-context.ts';

type IgtStatus = 'Pass' | 'Fail' | 'Skip' | 'Crash' | 'Timeout';

export interface IgtResult {
  /** `core_auth@basic-auth`; of a program without parts its name alone. */
  readonly name: string;
  readonly status: IgtStatus;
  /** What it printed of itself. */
  readonly said: readonly string[];
}

export interface IgtExpectations {
  /** By the name of the test. */
  readonly fails: ReadonlyMap<string, IgtStatus>;
  readonly flakes: readonly RegExp[];
  readonly skips: readonly RegExp[];
}

interface IgtEnd {
  readonly exitCode: number | null;
  readonly output: string;
  readonly timedOut?: boolean;
}

/** What a part itself is divided into ("dynamic subtests") depends on the displays that there are: it says why. */
const RESULT = /^Subtest (\S+): (SUCCESS|FAIL|SKIP|CRASH|TIMEOUT) \(/;
const STARTED = /^Starting subtest: (\S+)/;
const STATUSES: Readonly<Record<string, IgtStatus>> = {
  ...{ SUCCESS: 'Pass', FAIL: 'Fail', SKIP: 'Skip', CRASH: 'Crash', TIMEOUT: 'Timeout' },
};
/** Of a whole program. */
const SKIPPED_EXIT_CODE = 77;
/** The end of what a part printed is enough to see why it failed. */
const MOST_LINES = 12;

/** What each part of a program came to, in the order in which they ended. */
export function igtResults(program: string, { exitCode, output, timedOut = false }: IgtEnd): IgtResult[] {
  const results: IgtResult[] = [];
  let running: string | undefined;
  let said: string[] = [];
  for (const line of output.split('\n')) {
    const [, started] = STARTED.exec(line) ?? [];
    const [, ended, status = ''] = RESULT.exec(line) ?? [];
    if (started !== undefined) [running, said] = [started, []];
    else if (ended === undefined) said.push(line.trim());
    else {
      results.push({ name: `${program}@${ended}`, status: STATUSES[status] ?? 'Fail', said: last(said) });
      [running, said] = [undefined, []];
    }
  }
  const end = wholeStatus(exitCode, timedOut);
  // A part that began and did not end is what the program died of.
  if (running !== undefined)
    results.push({ name: `${program}@${running}`, status: timedOut ? end : 'Crash', said: last(said) });
  else if (results.length === 0 || (timedOut && end === 'Timeout')) {
    results.push({ name: program, status: end, said: last(said) });
  }
  return results;
}

function wholeStatus(exitCode: number | null, timedOut: boolean): IgtStatus {
  if (timedOut) return 'Timeout';
  if (exitCode === 0) return 'Pass';
  if (exitCode === SKIPPED_EXIT_CODE) return 'Skip';
  // A shell says 128 and more for a signal.
  return exitCode === null || exitCode > 128 ? 'Crash' : 'Fail';
}

function last(lines: readonly string[]): string[] {
  return lines.filter((line) => line !== '').slice(-MOST_LINES);
}

/** Those of a driver; a file that is not there is empty. */
export async function igtExpectations(driver: string): Promise<IgtExpectations> {
  const [fails, flakes, skips] = await Promise.all(
    ['fails', 'flakes', 'skips'].map((kind) => linesOf(repositoryPath('rig/igt', `${driver}-${kind}.txt`))),
  );
  return parseExpectations({ fails: fails ?? [], flakes: flakes ?? [], skips: skips ?? [] });
}

async function linesOf(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').map((line) => line.trim());
}

type Lines = Readonly<Record<'fails' | 'flakes' | 'skips', readonly string[]>>;

export function parseExpectations({ fails, flakes, skips }: Lines): IgtExpectations {
  const meant = (lines: readonly string[]): string[] => lines.filter((line) => line !== '' && !line.startsWith('#'));
  const whole = (line: string): RegExp => new RegExp(`^(?:${line})$`);
  return {
    fails: new Map(meant(fails).map((line) => [line.replace(/,\w+$/, ''), statusIn(line)])),
    flakes: meant(flakes).map(whole),
    skips: meant(skips).map(whole),
  };
}

function statusIn(line: string): IgtStatus {
  const named = /,(\w+)$/.exec(line)?.[1];
  return Object.values(STATUSES).find((status) => status === named) ?? 'Fail';
}

/** Whether a program, or the part of it that is named, is not to be run at all. */
export function isSkipped(name: string, { skips }: Pick<IgtExpectations, 'skips'>): boolean {
  return skips.some((skip) => skip.test(name));
}

/** Each as a case of the report: what fails as it is known to is expected, and what is known to fail has to. */
export function judgedIgt(results: readonly IgtResult[], { fails, flakes }: IgtExpectations): Subtest[] {
  return results.map(({ name, status, said }) => {
    const expected = fails.get(name);
    const why = said.join('\n');
    if (flakes.some((flake) => flake.test(name))) {
      return bad(status)
        ? { name, status: 'xfail', message: `It is known to fail at times.\n${why}` }
        : passed(name, status, why);
    }
    if (expected === status) return { name, status: 'xfail', message: `It is known to: ${status}.\n${why}` };
    if (expected !== undefined) {
      return { name, status: 'fail', message: `It is known to: ${expected}. Now it says: ${status}.\n${why}` };
    }
    return bad(status) ? { name, status: 'fail', message: `${status}\n${why}` } : passed(name, status, why);
  });
}

function bad(status: IgtStatus): boolean {
  return status !== 'Pass' && status !== 'Skip';
}

function passed(name: string, status: IgtStatus, why: string): Subtest {
  return status === 'Skip' ? { name, status: 'skip', message: why } : { name, status: 'pass' };
}

/** As deqp-runner writes it and `*-fails.txt` has it: one line for each that did not pass. */
export function failuresCsv(results: readonly IgtResult[]): string {
  return results
    .filter(({ status }) => bad(status))
    .map(({ name, status }) => `${name},${status}\n`)
    .join('');
}
