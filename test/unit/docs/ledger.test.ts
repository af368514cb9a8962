/** docs/suites.md says what each suite and each folder of tests costs, in the figures of rig/ledger.json. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';
import { readLedger } from '../../../src/plan/ledger.ts';
import { suiteFiles } from '../../../src/plan/suite-files.ts';

/** A suite by its name, anything else by its folder. */
function partOf(file: string): string {
  return file.endsWith('.suite.ts') ? path.basename(file, '.suite.ts') : file.split('/').slice(0, 2).join('/');
}

test('the figures in docs/suites.md are those of the ledger', async () => {
  const sums = new Map<string, { seconds: number; vms: number }>();
  for (const [file, { seconds, vms }] of Object.entries(readLedger())) {
    const sum = sums.get(partOf(file)) ?? { seconds: 0, vms: 0 };
    sums.set(partOf(file), { seconds: sum.seconds + seconds, vms: sum.vms + vms });
  }
  const page = await readFile(repositoryPath('docs/suites.md'), 'utf8');
  const said = page.split('\n').flatMap((line) => /^\| `[^`]+` \| \d+ \| \d+ \|/.exec(line)?.[0] ?? []);
  const wanted = [...sums].map(([part, { seconds, vms }]) => `| \`${part}\` | ${seconds} | ${vms} |`);
  expect(said.sort()).toEqual(wanted.sort());
});

test('every suite has been measured', async () => {
  const measured = Object.keys(readLedger());
  const suites = (await suiteFiles([])).map((file) => path.relative(repositoryPath(), file));
  expect(suites.filter((file) => !measured.includes(file))).toEqual([]);
});
