/** What a person's own program comes to: its exit code, and each case that it reports in KTAP or TAP. */
import { parseKtap, speaksKtap } from '../../plan/ktap.ts';
import type { Subtest } from '../../plan/rig-context.ts';
import { RigError } from '../../util/rig-error.ts';
import type { CommandResult } from '../../vm/link/ssh-session.ts';

/** What a program reported in KTAP or TAP. */
interface Spoken {
  readonly subtests: readonly Subtest[];
  readonly faults: readonly string[];
  /** Why there was nothing for it to do. */
  readonly skipped: string | undefined;
}

interface Ended extends Pick<CommandResult, 'exitCode' | 'signal' | 'stderr'> {
  /** All that it printed, in the order in which it came. */
  readonly output: string;
}

/** As the kernel's self-tests have it; without KTAP it is an exit code like any other. */
const SKIPPED_EXIT_CODE = 4;

/** Undefined where it speaks neither. */
export function spokenBy(stdout: string): Spoken | undefined {
  if (!speaksKtap(stdout)) return undefined;
  const { results, faults, skipped } = parseKtap(stdout);
  const silent = results.length === 0 && skipped === undefined ? ['it announced results and printed none'] : [];
  return { subtests: withOwnNames(subtestsOf(results)), faults: [...faults, ...silent], skipped };
}

type Results = ReturnType<typeof parseKtap>['results'];

/** The innermost results; of those around them what failed though all that is in it passed. */
function subtestsOf(results: Results, above = ''): Subtest[] {
  return results.flatMap((result) => {
    const name = `${above}${result.name}`;
    const inner = subtestsOf(result.children, `${name} > `);
    const own = subtest(name, result);
    const explained = inner.length > 0 && (own.status !== 'fail' || inner.some(({ status }) => status === 'fail'));
    return explained ? inner : [...inner, own];
  });
}

function subtest(name: string, { status, directive, remark, said }: Results[number]): Subtest {
  // That a known failure passes is good news, and for who maintains the program.
  const known = directive === 'XFAIL' || (directive === 'TODO' && status === 'fail');
  if (known) return { name, status: 'xfail', message: remark };
  if (status !== 'fail') return { name, status, ...(status === 'skip' ? { message: remark } : {}) };
  const why = directive === undefined ? remark : `${directive} ${remark}`;
  const lines = [why, ...said].map((line) => line.trim()).filter((line) => line !== '');
  return { name, status, message: lines.length === 0 ? 'The program said "not ok", and not why.' : lines.join('\n') };
}

/** By its name a case is compared with that of another run. */
function withOwnNames(subtests: readonly Subtest[]): Subtest[] {
  const seen = new Map<string, number>();
  return subtests.map((each) => {
    const count = (seen.get(each.name) ?? 0) + 1;
    seen.set(each.name, count);
    return count === 1 ? each : { ...each, name: `${each.name} (${String(count)})` };
  });
}

/** The reason why it counts as skipped, if it does. */
export function skipReason({ exitCode }: Pick<Ended, 'exitCode'>, spoken: Spoken | undefined): string | undefined {
  if (!spoken || spoken.faults.length > 0 || (exitCode !== 0 && exitCode !== SKIPPED_EXIT_CODE)) return undefined;
  const { subtests, skipped } = spoken;
  if (subtests.some(({ status }) => status !== 'skip')) return undefined;
  return skipped ?? subtests.flatMap(({ message }) => message ?? []).join('; ');
}

/** The error of a program that failed, undefined if it did not. */
export function programFailure(command: string, ended: Ended, spoken: Spoken | undefined): RigError | undefined {
  const notStarted = startFailure(command, ended);
  if (notStarted) return notStarted;
  const { exitCode, signal, output } = ended;
  const { subtests = [], faults = [] } = spoken ?? {};
  const failed = subtests.filter(({ status }) => status === 'fail').map(({ name }) => name.replaceAll(' > ', ' › '));
  const complaints = [
    ...(signal === undefined ? [] : [`it was ended by ${signal}`]),
    ...(exitCode === 0 || exitCode === null ? [] : [`its exit code is ${String(exitCode)}`]),
    ...(failed.length === 0 ? [] : [casesText(failed, subtests.length)]),
    ...faults,
  ];
  if (complaints.length === 0) return undefined;
  // What a case said stands with that case.
  const said = failed.length > 0 ? '' : lastLines(output);
  return new RigError('test', `The program failed: ${complaints.join('; ')}.${said}`);
}

const MOST_NAMES = 5;

function casesText(failed: readonly string[], all: number): string {
  const names = failed.slice(0, MOST_NAMES).join(', ');
  return `${String(failed.length)} of its ${String(all)} cases failed (${names}${failed.length > MOST_NAMES ? ', …' : ''})`;
}

const MOST_LINES = 10;

function lastLines(output: string): string {
  const lines = output.trimEnd().split('\n').slice(-MOST_LINES);
  return output.trim() === '' ? ' It printed nothing.' : ` The end of what it printed:\n${lines.join('\n')}`;
}

/** As a shell says it. */
const NOT_FOUND = /^-?sh: (?:line \d+: )?(?:\d+: )?(.+?): not found$/m;
const NOT_STARTED = /^-?sh: (?:line \d+: )?(?:\d+: )?(.+?): (Permission denied|.*[Ee]xec format error)$/m;

/** A mistake in the command, and none that the program or the kernel made. */
function startFailure(command: string, { exitCode, stderr }: Ended): RigError | undefined {
  const missing = exitCode === 127 ? NOT_FOUND.exec(stderr)?.[1] : undefined;
  if (missing !== undefined) {
    return new RigError('usage', `"${command}" could not be run: the guest has no program ${missing}.`, {
      remedy:
        "The guest has busybox and edgpu-stress; --put FILE:/tmp/ brings a program of your own, which is /tmp/FILE then, and --install PACKAGE one of Debian's.",
    });
  }
  const [, refused, why] = (exitCode === 126 ? NOT_STARTED.exec(stderr) : undefined) ?? [];
  if (refused === undefined) return undefined;
  return new RigError('usage', `"${command}" could not be run: the guest can't start ${refused} (${why ?? ''}).`, {
    remedy: 'It has to be executable (chmod +x), and for x86-64.',
  });
}
