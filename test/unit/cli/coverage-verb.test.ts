/** Whatever ends a run of `dgpu-rig coverage`, it tells what it has counted, with the exit code of that run. */
import { mkdirSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { collectProfiled } from '../../../src/builds/kernel/profiled-code.ts';
import type { CoverageOptions } from '../../../src/cli/options/option-table.ts';
import { coverageVerb } from '../../../src/cli/run/coverage-verb.ts';
import type { VitestRequest } from '../../../src/cli/run/vitest-run.ts';
import { Interruption } from '../../../src/cli/session.ts';
import type { RunRequest } from '../../../src/plan/prepare-run.ts';
import type { TestResult } from '../../../src/report/run-report.ts';
import { buildCounted, DRIVER } from '../report/coverage/counted-program.ts';
import { CapturedSession } from './captured-session.ts';

const fakes = vi.hoisted(() => ({
  prepareRun: vi.fn<(request: RunRequest) => Promise<unknown>>(),
  runVitest: vi.fn<(request: VitestRequest) => Promise<unknown>>(),
}));
vi.mock('../../../src/plan/prepare-run.ts', async (original) => ({ ...(await original<object>()), ...fakes }));
vi.mock('../../../src/cli/run/vitest-run.ts', () => fakes);

const OPTIONS: CoverageOptions = {
  ...{ dmaBits: [32], accel: 'tcg', keep: false, backend: 'shmem', maxVms: 1 },
};

/** Without an argument its last line is not reached. */
const PROGRAM = `int main(int words, char **arguments)
{
	if (words > 1)
		return words - 2;
	return 0;
}
`;

let session: CapturedSession;

beforeEach(async () => {
  session = await CapturedSession.open();
});

afterEach(() => session.close());

/** A kernel of which one file is counted. */
async function kernelOf(file: string): Promise<(vm: string) => Promise<unknown>> {
  const tree = path.join(session.folder, 'tree');
  const run = await buildCounted(tree, { [file]: PROGRAM });
  const profiled = path.join(session.folder, 'profiled');
  await collectProfiled(tree, { folders: [path.dirname(file)], files: [] }, profiled);
  const kernel = { version: '7.3.4', patches: [], profiled: { folder: profiled, gcov: 'gcov' } };
  fakes.prepareRun.mockImplementation(({ selection }) =>
    Promise.resolve({
      ...{ build: { kernel, qemu: { version: '10.0.13' } }, sources: {}, fresh: [], accelerator: 'tcg' },
      ...{
        acceleration: { accelerator: 'tcg' },
        selection,
        startedAt: '2026-11-21',
        artifacts: `${session.folder}/run`,
      },
    }),
  );
  return run;
}

/** One test in one VM, whose counters are fetched. */
function vitestThat(
  run: (vm: string) => Promise<unknown>,
  judged: Partial<TestResult>,
  then = (): void => undefined,
): void {
  fakes.runVitest.mockImplementation(async ({ rig, onResult }) => {
    await run(path.join(String(rig.counters), 'smoke/one'));
    mkdirSync(path.join(String(rig.counters), 'smoke/dead'));
    const named = { suite: 'smoke', test: 'a', params: {}, durationMs: 1, metrics: {}, kernelReports: [] };
    const result: TestResult = { ...named, status: 'pass', ...judged };
    onResult?.(result, true);
    then();
    return { results: [result], failures: [] };
  });
}

test.for([
  ['passed', {}, 0],
  ['failed', { status: 'fail', failure: 'test', message: 'no' }, 1],
  ['met a kernel bug', { status: 'fail', failure: 'kernel', message: 'oops' }, 3],
] as const)('of a test that %s', async ([, judged, wanted]) => {
  const run = await kernelOf(`${DRIVER}/edgpu_x.c`);
  vitestThat(run, judged);
  const lcov = path.join(session.folder, 'c.info');
  expect(await coverageVerb(['smoke'], { ...OPTIONS, lcov }, session)).toBe(wanted);
  expect(session.printed).toMatch(/edgpu_x\.c +\d\d\.\d % of +4 {2}4$/m);
  expect(session.printed).toMatch(
    /, driver 75\.0 % of 4 lines, by 1 suite in 1 VM; 1 VM ended before its counters were fetched\n$/,
  );
  expect(await readFile(lcov, 'utf8')).toContain('DA:4,0');
  expect(fakes.runVitest.mock.calls.at(-1)?.[0].rig.selection.flavour).toBe('gcov');
  // The counters are no artifacts.
  expect(readdirSync(session.folder)).not.toContain('run-counters');
});

test('of a run that is interrupted', async () => {
  const run = await kernelOf(`${DRIVER}/edgpu_x.c`);
  vitestThat(run, {}, () => session.end.abort(new Interruption('SIGINT told the rig to stop.')));
  fakes.runVitest.mockImplementationOnce(async (request) => {
    await fakes.runVitest.getMockImplementation()?.(request);
    throw session.end.signal.reason;
  });
  expect(await coverageVerb(['smoke'], OPTIONS, session)).toBe(130);
  expect(session.printed).toContain('Interrupted: SIGINT told the rig to stop.');
  expect(session.printed).toMatch(/driver 75\.0 % of 4 lines/);
});

test('a file that cannot be written is the exit code where the tests have none', async () => {
  const run = await kernelOf(`${DRIVER}/edgpu_x.c`);
  vitestThat(run, {}, () => mkdirSync(path.join(session.folder, 'c.html')));
  expect(await coverageVerb(['smoke'], { ...OPTIONS, html: path.join(session.folder, 'c.html') }, session)).toBe(4);
  expect(session.printed).toContain('could not be written');
});

test('a tree with another series is refused before anything is run', async () => {
  await kernelOf('mm/shmem.c');
  fakes.runVitest.mockClear();
  await expect(coverageVerb(['smoke'], OPTIONS, session)).rejects.toThrow(/mm\/shmem\.c is not what .* makes of it/);
  expect(fakes.runVitest).not.toHaveBeenCalled();
});
