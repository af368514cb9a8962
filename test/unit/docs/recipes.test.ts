/**
 * The recipes for CI are what they claim to be: by GitHub's own parser, and by what GitLab's reference allows of the
 * keys they use.
 */
import { readFile } from 'node:fs/promises';
import { NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { longName, OPTION_NAMES } from '../../../src/cli/options/option-table.ts';
import { repositoryPath } from '../../../src/config/paths.ts';

async function recipe(name: string): Promise<string> {
  return readFile(repositoryPath('docs/recipes', name), 'utf8');
}

describe('GitHub Actions', () => {
  const faults = (content: string): string[] => {
    const { context } = parseWorkflow({ name: 'workflow.yml', content }, new NoOperationTraceWriter());
    return context.errors.getErrors().map(({ message }) => message);
  };

  test.for(['github-actions.yml', 'github-actions-sharded.yml'])('accepts %s', async (name) =>
    expect(faults(await recipe(name))).toEqual([]),
  );

  test('control: and not one with a mistake', async () => {
    const text = await recipe('github-actions.yml');
    expect(faults(text.replace('steps:', 'stepz:'))).not.toEqual([]);
    expect(faults(text.replace('github.workspace', 'githib.workspace'))).not.toEqual([]);
  });
});

const strings = z.array(z.string()).min(1);

/** GitLab publishes its schema in no npm package: this is strict, and knows no more than the recipe needs. */
const job = z.strictObject({
  stage: z.string(),
  image: z.string(),
  timeout: z.string().regex(/^\d+\s?(h|m|hours?|minutes?)$/),
  variables: z.record(z.string().regex(/^\w+$/), z.union([z.string(), z.number()])),
  cache: z.strictObject({ key: z.string(), paths: strings }),
  before_script: strings,
  script: strings,
  after_script: strings,
  artifacts: z.strictObject({
    when: z.enum(['on_success', 'on_failure', 'always']),
    paths: strings,
    reports: z.strictObject({ junit: z.string() }),
  }),
  retry: z.strictObject({ max: z.number().int().min(0).max(2), exit_codes: z.array(z.number().int().min(1).max(255)) }),
});

const pipeline = z.object({ stages: strings }).catchall(job);

describe('GitLab CI', () => {
  test('the recipe has only what GitLab knows, and names its stage', async () => {
    const { stages, ...jobs } = pipeline.parse(parse(await recipe('gitlab-ci.yml')));
    for (const { stage } of Object.values(jobs)) expect(stages).toContain(stage);
    expect(Object.keys(jobs)).toEqual(['dgpu-rig']);
  });

  test('control: a misspelt key is refused', async () => {
    const text = (await recipe('gitlab-ci.yml')).replace('before_script', 'before_scripts');
    expect(pipeline.safeParse(parse(text)).success).toBe(false);
  });
});

test.for(['gitlab-ci.yml', 'github-actions.yml'])('%s: every command line is one that the rig knows', async (name) => {
  const text = await recipe(name);
  const main = await readFile(repositoryPath('src/cli/main.ts'), 'utf8');
  const flags = OPTION_NAMES.map((name) => `--${longName(name)} `).join('');
  const lines = Array.from(text.matchAll(/\.\/dgpu-rig (\w+)(.*)/g));
  expect(lines.length).toBeGreaterThan(0);
  for (const [, verb = '', rest = ''] of lines) {
    expect(main).toMatch(new RegExp(`command\\('${verb}[ ']`));
    for (const [, flag = ''] of rest.matchAll(/(--[\w-]+)/g)) expect(flags + main).toMatch(new RegExp(`${flag}[ ']`));
  }
});
