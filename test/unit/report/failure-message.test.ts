/** What a failed test says when the kernel had something to do with it. */
import { expect, test } from 'vitest';
import { failureMessage } from '../../../src/report/judge/failure-message.ts';
import type { JudgedReport } from '../../../src/plan/rig-context.ts';

const SUITE = '/repository/src/suites/my.suite.ts';

const OOPS: JudgedReport = {
  kind: 'oops',
  severity: 'bug',
  title: 'BUG: kernel NULL pointer dereference, address: 00000000000000d8',
  lines: [],
  fatal: false,
  expected: false,
  count: 1,
  where: 'edgpu_gem_info_ioctl+0x1e/0x140 [edgpu]',
};

const PARSER = { message: 'Unexpected end of JSON input', stacks: [{ method: '', file: SUITE, line: 7, column: 3 }] };
const SESSION = { message: `The guest's kernel reported: ${OOPS.title}` };

test('a kernel bug comes first, with function and module, and once; what it did to the suite comes after', () => {
  expect(failureMessage([PARSER, SESSION, SESSION], [OOPS], SUITE).split('\n')).toEqual([
    `Kernel bug: oops in edgpu_gem_info_ioctl+0x1e/0x140 [edgpu]: ${OOPS.title}`,
    'With --debug-info its report names the source line.',
    'Unexpected end of JSON input',
    `at ${SUITE}:7:3`,
  ]);
});

test('its source line is named where it is known, and its place not twice', () => {
  const title = `BUG: KASAN: slab-use-after-free in ${OOPS.where ?? ''}`;
  const kasan: JudgedReport = { ...OOPS, kind: 'kasan', title, source: ['edgpu_gem.c:120'] };
  expect(failureMessage([SESSION], [kasan], SUITE).split('\n').slice(0, 2)).toEqual([
    `Kernel bug: kasan: ${title}`,
    'edgpu_gem.c:120',
  ]);
});

test('what a test provoked, and what is only a note, is not the reason', () => {
  const reports = [
    { ...OOPS, expected: true },
    { ...OOPS, severity: 'note' as const },
  ];
  expect(failureMessage([PARSER], reports, SUITE)).toBe(`Unexpected end of JSON input\nat ${SUITE}:7:3`);
});

test('the remedy of an error is told with it', () => {
  const error = { message: 'There is no machine named tier.', remedy: 'The machines are: tiers.' };
  expect(failureMessage([error], [], SUITE)).toBe(`${error.message}\n${error.remedy}`);
});
