/** docs/public-reports.md holds reports against tests: each that it names is there, in the suite that it names. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';
import { suiteFiles } from '../../../src/plan/suite-files.ts';

const page = await readFile(repositoryPath('docs/public-reports.md'), 'utf8');
const named = Array.from(page.matchAll(/`(\w[\w-]*) › ([^`]+)`/g), ([, suite = '', title = '']) => ({ suite, title }));
const rows = page.split('\n').filter((line) => line.startsWith('| ') && !/^\| (report|---)/.test(line));

test('each row names a test', () => {
  expect(rows.length).toBeGreaterThan(10);
  for (const row of rows) expect(row.split('|').at(-2)).toMatch(/`\w[\w-]* › [^`]+`/);
});

test.for(named)('$suite › $title', async ({ suite, title }) => {
  const [file = ''] = await suiteFiles([suite]);
  const text = await readFile(file, 'utf8');
  // As the first argument of test(), or of what test.for() returns.
  const titles = Array.from(text.matchAll(/\(\s*(['"])((?:(?!\1).)+)\1,/g), ([, , found]) => found);
  expect(titles).toContain(title);
});
