/** The programs of edgpu-stress, as `list` reads them from its source. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { stressPrograms } from '../../../src/cli/verbs/list-verb.ts';
import { repositoryPath } from '../../../src/config/paths.ts';

test('none is left out, and their options are one line each', async () => {
  const source = await readFile(repositoryPath('images/stress/main.c'), 'utf8');
  const programs = stressPrograms(source);
  const table = source.slice(source.indexOf('subcommands[] = {'), source.indexOf('#define SUBCOMMANDS'));
  expect(programs).toHaveLength(table.split('_main,').length - 1);
  expect(Object.fromEntries(programs)['purge']).toBe('--object-size S --seed K [--keep yes] [--recreate yes]');
  expect(programs.filter(([, text]) => /[\\"\n]|  /.test(text))).toEqual([]);
});
