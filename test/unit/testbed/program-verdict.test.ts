/** What a person's own program comes to. */
import { describe, expect, test } from 'vitest';
import { programFailure, skipReason, spokenBy } from '../../../src/testbed/exec/program-verdict.ts';
import { withSegment } from '../../../src/testbed/exec/replayed-program.ts';

const ENDED = { exitCode: 0, signal: undefined, stderr: '', output: '' };

const KTAP = `KTAP version 1
1..2
  KTAP version 1
  1..4
  ok 1 a
  # expected 3
  not ok 2 b
  not ok 3 c # TODO later
  ok 4 c # XFAIL known
not ok 1 group
ok 2 d # SKIP no device
`;

function failure(changes: Partial<typeof ENDED> | { exitCode: null; signal: string }, stdout = ''): unknown {
  return programFailure('/tmp/t', { ...ENDED, ...changes, output: stdout }, spokenBy(stdout));
}

describe('the cases', () => {
  test('are the innermost results, each with what was said of it', () => {
    expect(spokenBy(KTAP)).toEqual({
      faults: [],
      skipped: undefined,
      subtests: [
        { name: 'group > a', status: 'pass' },
        { name: 'group > b', status: 'fail', message: 'expected 3' },
        { name: 'group > c', status: 'xfail', message: 'later' },
        { name: 'group > c (2)', status: 'xfail', message: 'known' },
        { name: 'd', status: 'skip', message: 'no device' },
      ],
    });
  });

  test('are also a group that failed though all in it passed', () => {
    expect(spokenBy('1..1\n    1..1\n    ok 1 a\nnot ok 1 group # TIMEOUT 45 s\n')?.subtests).toEqual([
      { name: 'group > a', status: 'pass' },
      { name: 'group', status: 'fail', message: 'TIMEOUT 45 s' },
    ]);
  });

  test('of a program that speaks neither are none', () => expect(spokenBy('all is well\n')).toBeUndefined());
});

test.for([
  ['an exit code', { exitCode: 3 }, 'boom\n', 'its exit code is 3. The end of what it printed:\nboom'],
  ['a signal', { exitCode: null, signal: 'SIGSEGV' }, '', 'it was ended by SIGSEGV. It printed nothing.'],
  ['a case, with exit code 0', {}, KTAP, '1 of its 5 cases failed (group › b).'],
  ['fewer results than planned', {}, '1..2\nok 1 a\n', '2 results planned, 1 found'],
  ['no result at all', {}, 'TAP version 13\n', 'announced results and printed none'],
] as const)('%s fails it', ([, ended, stdout, message]) => {
  expect(failure(ended, stdout)).toMatchObject({
    failureClass: 'test',
    message: expect.stringContaining(message) as string,
  });
});

test('what passed has no failure', () => {
  expect(failure({}, 'hello\n')).toBeUndefined();
  expect(failure({}, '1..2\nok 1 a\nnot ok 2 b # TODO\n')).toBeUndefined();
});

test.for([
  ['a program that is not there', { exitCode: 127, stderr: 'sh: nosuch: not found\n' }, 'no program nosuch'],
  ['one that is not executable', { exitCode: 126, stderr: 'sh: /tmp/t: Permission denied\n' }, "can't start /tmp/t"],
] as const)('%s is a mistake in the command', ([, ended, message]) => {
  expect(failure(ended)).toMatchObject({
    failureClass: 'usage',
    message: expect.stringContaining(message) as string,
  });
});

test('what a shell says of a command that the program does without is not that', () => {
  const stderr = 'sh: nosuch: not found\nsh: other: Permission denied\n';
  expect(failure({ stderr })).toBeUndefined();
  expect(failure({ exitCode: 1, stderr })).toMatchObject({ failureClass: 'test' });
});

test('an exit code of 127 that no shell explains is that of the program', () => {
  expect(failure({ exitCode: 127 })).toMatchObject({ failureClass: 'test' });
});

describe('skipped', () => {
  const reason = (exitCode: number, stdout: string): string | undefined => skipReason({ exitCode }, spokenBy(stdout));

  test.for([
    [4, '1..0 # SKIP no device\nok 1\n', undefined],
    [4, 'TAP version 13\n1..0 # SKIP no device\n', 'no device'],
    [0, 'TAP version 13\n1..1\nok 1 a # SKIP too small\n', 'too small'],
    [4, 'skipping\n', undefined],
    [1, 'TAP version 13\n1..1\nok 1 a # SKIP too small\n', undefined],
    [0, '1..2\nok 1 a # SKIP too small\nok 2 b\n', undefined],
  ] as const)('exit code %i and %o: %o', ([exitCode, stdout, wanted]) => {
    expect(reason(exitCode, stdout)).toBe(wanted);
  });
});

test('replay.sh of its VM boots with an archive behind the initrd that it had, wherever that is', () => {
  for (const initrd of ['/c/initrd', "'/c/it'\\''s here/initrd'"]) {
    const script = `#!/bin/sh\n# Boots.\nexec /c/qemu -initrd ${initrd} -append 'console=ttyS0 rig.console'\n`;
    expect(withSegment(script).split('\n').slice(2)).toEqual([
      `cat ${initrd} "$(dirname "$0")"/program.cpio > "$(dirname "$0")"/replay-initrd`,
      `exec /c/qemu -initrd "$(dirname "$0")"/replay-initrd -append 'console=ttyS0 rig.console'`,
      '',
    ]);
  }
});
