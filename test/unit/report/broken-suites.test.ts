/**
 * Suites that fail or can't be loaded, run by vitest with our reporter: what a person is told of them, and how often.
 */
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';
import { RigReporter } from '../../../src/report/judge/rig-reporter.ts';
import { OUTSIDE_OF_TESTS, type TestResult } from '../../../src/report/run-report.ts';
import { vitestProject } from '../../../src/plan/vitest-projects.ts';
import type { RigEvent } from '../../../src/util/rig-event.ts';

const SUITES = {
  'wrong.suite.ts': `
    import { expect, test } from 'vitest';
    test('complains', () => {
      const complaints = ['device-fault', 'address-above-limit', 'object-that-is-not-resident', 'swapped'];
      expect(complaints, '{"faultEvents":1}').toEqual([]);
    });
    test('is mistyped', () => {
      const fixtures: Record<string, string[]> = {};
      fixtures['guset']!.push('run');
    });`,
  'astray.suite.ts': `import { test } from '../testbed/fixture.ts';\ntest('never runs', () => {});`,
  'garbled.suite.ts': `import { test } from 'vitest';\ntest('never ends', () => {;`,
  'hook.suite.ts': `
    import { beforeAll, test } from 'vitest';
    beforeAll(() => { throw Object.assign(new Error('The disk is full.'), { failureClass: 'infrastructure' }); });
    test('is not reached', () => {});`,
} as const;

interface Told {
  readonly results: readonly TestResult[];
  /** Of a second run, for the printed name of one test. */
  readonly filtered: readonly TestResult[];
  readonly notices: readonly string[];
  readonly ends: readonly RigEvent[];
}

async function runSuites(): Promise<Told> {
  const { createVitest } = await import('vitest/node');
  const root = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  try {
    await symlink(repositoryPath('node_modules'), path.join(root, 'node_modules'));
    for (const [name, text] of Object.entries(SUITES)) await writeFile(path.join(root, name), text);
    const events: RigEvent[] = [];
    const reporter = new RigReporter({
      emit: (event) => void events.push(event),
      signal: new AbortController().signal,
    });
    const include = Object.keys(SUITES);
    const { test: own, ...project } = vitestProject('unit', { include });
    const vitest = await createVitest('test', {
      ...{ config: false, root, watch: false, reporters: [reporter] },
      projects: [{ ...project, root, test: { ...own, name: 'suites' } }],
    });
    await vitest.start();
    const results = reporter.results;
    vitest.setGlobalTestNamePattern(/^wrong › is mistyped$/);
    await vitest.start();
    await vitest.close();
    const notices = events.flatMap((event) => (event.type === 'notice' ? [event.text] : []));
    const ends = events.filter(({ type }) => type === 'step-end');
    return { results, filtered: reporter.results, notices, ends };
  } finally {
    await rm(root, { recursive: true });
  }
}

let told: Told;
beforeAll(async () => {
  told = await runSuites();
}, 60_000);

function messageOf(suite: string, name: string): string {
  const result = told.results.find((candidate) => candidate.suite === suite && candidate.test === name);
  return result?.message ?? '';
}

describe('an assertion that failed', () => {
  test('says the whole of what was expected first, then what is known, then where it stands', () => {
    expect(messageOf('wrong', 'complains').split('\n')).toEqual([
      "expected [ 'device-fault', 'address-above-limit', 'object-that-is-not-resident', 'swapped' ] to deeply equal []",
      '{"faultEvents":1}',
      expect.stringMatching(/^at \S*wrong\.suite\.ts:5:\d+$/),
    ]);
  });

  test('and a mistake in the suite says where it is, too', () => {
    expect(messageOf('wrong', 'is mistyped')).toMatch(
      /Cannot read properties of undefined.*\nat \S*wrong\.suite\.ts:9:\d+$/,
    );
  });

  test('is named once', () => {
    const lines = [...told.notices, ...told.ends.map((end) => JSON.stringify(end))].join('\n');
    expect(told.ends.length).toBeGreaterThan(1);
    expect(lines).not.toContain('✘ wrong › complains');
  });
});

test('the name that was printed chooses that test', () => {
  const ran = told.filtered.filter((result) => result.status !== 'skip' && result.test !== OUTSIDE_OF_TESTS);
  expect(ran).toMatchObject([{ suite: 'wrong', test: 'is mistyped' }]);
});

describe('a suite that can not be loaded', () => {
  test.for([
    ['astray', /fixture\.ts/],
    ['garbled', /garbled\.suite\.ts/],
  ] as const)('is a mistake of whoever wrote it: %s', ([suite, what]) => {
    const result = told.results.find((candidate) => candidate.suite === suite);
    expect(result).toMatchObject({ status: 'error', failure: 'usage', message: expect.stringMatching(what) as string });
    // Colours are for a terminal, and frames of vite for nobody.
    expect(result?.message).not.toMatch(/\u001b|node_modules/);
  });

  test('is another thing than a hook that fails for a reason of its own', () => {
    const result = told.results.find(({ suite, status }) => suite === 'hook' && status === 'error');
    expect(result).toMatchObject({
      failure: 'infrastructure',
      message: expect.stringContaining('disk is full') as string,
    });
  });
});
