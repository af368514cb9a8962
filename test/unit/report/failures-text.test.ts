/** What the end of a log says of what failed. */
import { expect, test } from 'vitest';
import { placeholderResult, type TestResult } from '../../../src/report/run-report.ts';
import { failuresText } from '../../../src/report/text/failures-text.ts';

function result(overrides: Partial<TestResult>): TestResult {
  return placeholderResult({ suite: 'swap', test: 'cached > comes back', status: 'pass', ...overrides });
}

test('failures and errors are named with their messages, and nothing else is', () => {
  const results = [
    result({ test: 'passes' }),
    result({ status: 'fail', failure: 'kernel', message: 'KASAN: use-after-free\n' }),
    result({ test: 'known', status: 'xfail', message: 'as expected' }),
    result({ suite: 'mmap', test: 'boots', status: 'error', failure: 'infrastructure', message: 'SSH is gone' }),
    result({ test: 'left out', status: 'skip', message: 'not run' }),
  ];
  expect(failuresText(results)).toBe(
    'What failed:\n' +
      '  ✘ swap › cached › comes back\n' +
      '      KASAN: use-after-free\n' +
      '  ✘ mmap › boots\n' +
      '      SSH is gone\n\n',
  );
  expect(failuresText([result({})])).toBe('');
});

test('a long message does not push the others out of sight', () => {
  const message = Array.from({ length: 40 }, (_, line) => `line ${String(line)}`).join('\n');
  const text = failuresText([result({ status: 'fail', failure: 'test', message })]);
  expect(text).toContain('      line 11\n      … and 28 lines more\n');
  expect(text).not.toContain('line 12');
});
