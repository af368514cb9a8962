/** What a run says at its end of lines that nobody knows. */
import { expect, test } from 'vitest';
import { placeholderResult, type ReportedWarning, type TestResult } from '../../../src/report/run-report.ts';
import { unknownWarningsText } from '../../../src/report/text/unknown-warnings-text.ts';

function result(...warnings: ReportedWarning[]): TestResult {
  return { ...placeholderResult({ suite: 'swap', test: 'a', status: 'pass', message: '' }), warnings };
}

test('each line is there once, with how often all tests had it and which runs', () => {
  const seenIn = { count: 23, runs: [3, 15, 16, 17, 18, 19, 20, 21, 22, 25] };
  const results = [
    result({ level: 4, text: 'foo 1: odd', count: 2, seenIn }, { level: 3, text: 'bar: wrong', count: 1 }),
    result({ level: 4, text: 'foo 2: odd', count: 1, seenIn }),
  ];
  expect(unknownWarningsText(results)).toBe(
    'The kernel said what the rig does not know:\n' +
      '  unknown warning (3 times, seen in 23 runs: 3, …, 15, 16, 17, 18, 19, 20, 21, 22, 25): foo 1: odd\n' +
      '  unknown error: bar: wrong\n\n',
  );
  expect(unknownWarningsText([result()])).toBe('');
});

test('a kernel that says a lot does not push the failures out of sight', () => {
  const many = Array.from({ length: 12 }, (_, index) => ({ level: 4, text: 'x'.repeat(index + 1), count: 1 }));
  const text = unknownWarningsText([result(...many)]);
  expect(text).toContain('  … and 2 more, which the report has\n');
  expect(text.split('\n')).toHaveLength(14);
});
