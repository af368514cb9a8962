/**
 * `dgpu-rig mutate` from its options to its exit code, with a kernel of one small file and a vitest that fails where a
 * mutant is meant to be noticed: the control is a mutant that is caught, and one that survives.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BuildFailure } from '../../../src/builds/tree/build-command.ts';
import type { FreshRequest, GuestFile } from '../../../src/builds/fresh-files.ts';
import { DRIVER_GRAFT } from '../../../src/builds/kernel/kernel-build.ts';
import { mutateVerb } from '../../../src/cli/mutate/mutate-verb.ts';
import type { MutateOptions } from '../../../src/cli/options/option-table.ts';
import type { VitestRequest } from '../../../src/cli/run/vitest-run.ts';
import { Interruption } from '../../../src/cli/session.ts';
import type { RunRequest } from '../../../src/plan/prepare-run.ts';
import type { MutationReport } from '../../../src/report/mutants/mutation-report.ts';
import type { TestResult } from '../../../src/report/run-report.ts';
import { sourceKey } from '../../../src/report/coverage/coverage-report.ts';
import { CapturedSession } from './captured-session.ts';

const fakes = vi.hoisted(() => ({
  prepareRun: vi.fn<(request: RunRequest) => Promise<unknown>>(),
  freshModule: vi.fn<(name: string, request: FreshRequest) => Promise<GuestFile>>(),
  runVitest: vi.fn<(request: VitestRequest) => Promise<unknown>>(),
}));
vi.mock('../../../src/builds/fresh-files.ts', async (original) => ({ ...(await original<object>()), ...fakes }));
vi.mock('../../../src/plan/prepare-run.ts', async (original) => ({ ...(await original<object>()), ...fakes }));
vi.mock('../../../src/cli/run/vitest-run.ts', () => fakes);

const OPTIONS: MutateOptions = {
  ...{ dmaBits: [32], accel: 'tcg', keep: false, backend: 'shmem', maxVms: 1, flavour: 'plain', seed: 1 },
};

/** Three mutants: the constants of lines 3 and 4, and the comparison of line 4. */
const FILE = `${DRIVER_GRAFT.to}/edgpu_x.c`;
const TEXT = 'int small(int words)\n{\n\tint most = 7;\n\treturn words < 5;\n}\n';

let session: CapturedSession;
/** What the kernel or the module of which a test is run has instead of TEXT; empty for the code as it is. */
let inKernel = new Map<string, string>();

beforeEach(async () => {
  session = await CapturedSession.open();
  vi.stubEnv('DGPU_RIG_CACHE', path.join(session.folder, 'cache'));
  inKernel = new Map();
  const mutable = path.join(session.folder, 'mutable');
  mkdirSync(path.join(mutable, 'sources', DRIVER_GRAFT.to), { recursive: true });
  writeFileSync(path.join(mutable, 'sources', FILE), TEXT);
  isIn({});
  fakes.freshModule.mockReset().mockImplementation((name, { build, folder }) => {
    const [patch = ''] = build.kernel.variant.patches ?? [];
    const file = path.join(folder, path.basename(name));
    inKernel.set(file, readFileSync(patch, 'utf8'));
    return Promise.resolve({ path: `/usr/lib/modules/7.3.4/${name}`, file, mode: 0o644 });
  });
  fakes.prepareRun.mockReset().mockImplementation(({ selection, variant }) => {
    const [patch] = variant?.patches ?? [];
    const diff = patch === undefined ? '' : readFileSync(patch, 'utf8');
    const folder = path.join(session.folder, 'kernels', path.basename(patch ?? 'plain'));
    mkdirSync(folder, { recursive: true });
    inKernel.set(folder, diff);
    const kernel = { version: '7.3.4', patches: [], folder, mutable };
    return Promise.resolve({
      build: { kernel, qemu: { version: '10.0.13', binary: 'qemu' }, initrd: path.join(folder, 'image/initrd.gz') },
      ...{ sources: {}, fresh: [], accelerator: 'tcg', acceleration: { accelerator: 'tcg' }, selection },
      ...{ startedAt: '2026-11-21', artifacts: path.join(session.folder, 'run') },
    });
  });
});
afterEach(() => session.close());

/** The module that each source is in; the others are built in. */
function isIn(modules: Readonly<Record<string, string>>): void {
  writeFileSync(path.join(session.folder, 'mutable/modules.json'), JSON.stringify(modules));
}

/** One test, which fails where the kernel has such a line. */
function notices(line: RegExp, judged: Partial<TestResult> = { status: 'fail', failure: 'test', message: 'no' }): void {
  fakes.runVitest.mockReset().mockImplementation(({ rig, onResult }) => {
    const [{ file } = { file: rig.build.kernel.folder }] = rig.fresh;
    const noticed = line.test(inKernel.get(file) ?? '');
    const named = { suite: 'smoke', test: 'counts', params: {}, durationMs: 1, metrics: {}, kernelReports: [] };
    const result: TestResult = { ...named, status: 'pass', ...(noticed ? judged : {}) };
    onResult?.(result, true);
    return Promise.resolve({ results: [result], failures: [] });
  });
}

test('a mutant that a test notices is caught, and one that none notices is told with its diff', async () => {
  notices(/^\+\treturn/m);
  const json = path.join(session.folder, 'm.json');
  expect(await mutateVerb(['smoke'], { ...OPTIONS, count: 3, json }, session)).toBe(1);
  expect(session.printed).toMatch(
    /^caught {4}\w{10} {2}\S+edgpu_x\.c:4 small\(\): bound-off-by-one, by smoke › counts \(suite\) {2}\(0\.\d s\)$/m,
  );
  expect(session.printed).toMatch(
    /^survived {2}\w{10} {2}\S+edgpu_x\.c:3 small\(\): constant {2}\(0\.\d s\)\ndiff --git /m,
  );
  expect(session.printed).toContain('-\tint most = 7;\n+\tint most = 8;\n');
  expect(session.printed).toContain('nearest tests, which reach the line and did not notice: smoke\n');
  expect(session.printed).toMatch(
    /^3 of 3 mutants judged: 2 caught \(2 by a suite\), 1 survived; 0\.\d s each; seed 1, of 3\n$/m,
  );
  const report = JSON.parse(await readFile(json, 'utf8')) as MutationReport;
  expect(report.mutants.map(({ caught }) => caught?.how ?? 'survived').sort()).toEqual(['suite', 'suite', 'survived']);
  // With the sources beside it, all of them.
  expect(fakes.prepareRun.mock.calls.every(([{ variant }]) => variant?.mutants === true)).toBe(true);
});

test('a mutant of a module costs that module, in the image of the kernel as it is', async () => {
  notices(/^\+\treturn/m);
  isIn({ [FILE]: 'kernel/drivers/gpu/drm/edgpu/edgpu.ko' });
  expect(await mutateVerb(['smoke'], { ...OPTIONS, count: 3 }, session)).toBe(1);
  expect(session.printed).toContain('3 of 3 mutants judged: 2 caught (2 by a suite), 1 survived');
  expect(fakes.prepareRun.mock.calls.length).toBe(1);
  const modules = fakes.freshModule.mock.calls.map(([name]) => path.basename(name));
  expect(modules).toEqual(Array(3).fill('edgpu.ko'));
  // Neither modules nor patches are left.
  expect(existsSync(path.join(session.folder, 'run')) ? readdirSync(path.join(session.folder, 'run')) : []).toEqual([]);
});

test('where a module does not build, the kernel says whether that is the mutant', async () => {
  notices(/^\+/m);
  isIn({ [FILE]: 'kernel/drivers/gpu/drm/edgpu/edgpu.ko' });
  fakes.freshModule.mockRejectedValue(new BuildFailure('infrastructure', 'Building the module failed', false, {}));
  expect(await mutateVerb(['smoke'], { ...OPTIONS, count: 3 }, session)).toBe(0);
  expect(session.printed).toContain('3 of 3 mutants judged: 3 caught');
  expect(fakes.prepareRun.mock.calls.length).toBe(1 + 3);
});

test('who tries a mutant wants no more of a VM whose kernel has reported a bug; who tries the code as it is does', async () => {
  notices(/^\+/m, { status: 'fail', failure: 'kernel', message: 'Oops' });
  await mutateVerb(['smoke'], { ...OPTIONS, count: 3 }, session);
  expect(session.printed).toContain('3 caught (3 by a kernel report)');
  expect(fakes.runVitest.mock.calls.map(([{ rig }]) => rig.endsAtBug)).toEqual([undefined, true, true, true]);
});

test('where all are caught, the exit code is 0; how each was is told apart', async () => {
  notices(/^\+/m, { status: 'error', failure: 'timeout', message: 'hangs' });
  expect(await mutateVerb(['smoke'], { ...OPTIONS, count: 3 }, session)).toBe(0);
  expect(session.printed).toContain('3 caught (3 by a time-out), 0 survived');
});

test('what was judged is not judged again, in a sample of another seed either', async () => {
  notices(/^\+/m);
  await mutateVerb(['smoke'], { ...OPTIONS, count: 3 }, session);
  const builds = fakes.prepareRun.mock.calls.length;
  await mutateVerb(['smoke'], { ...OPTIONS, count: 3, seed: 2 }, session);
  // The code as it is, which is there already.
  expect(fakes.prepareRun.mock.calls.length).toBe(builds + 1);
});

test('an interrupted campaign says how to go on', async () => {
  notices(/^\+/m);
  const run = fakes.runVitest.getMockImplementation();
  fakes.runVitest.mockImplementation(async (request) => {
    if (fakes.runVitest.mock.calls.length === 3) session.end.abort(new Interruption('SIGINT told the rig to stop.'));
    return run?.(request);
  });
  expect(await mutateVerb(['smoke'], { ...OPTIONS, count: 3 }, session)).toBe(130);
  expect(session.printed).toContain('Interrupted: SIGINT told the rig to stop. With --seed 1 it goes on from here.');
  expect(session.printed).toContain('1 of 3 mutants judged');
});

test('a mutant that does not compile counts for nothing; a full disk ends all, and is no such thing', async () => {
  notices(/^\+/m);
  const prepare = fakes.prepareRun.getMockImplementation();
  let fullDisk = false;
  fakes.prepareRun.mockImplementation((request) => {
    if (fakes.prepareRun.mock.calls.length !== 2) return prepare?.(request) ?? Promise.reject(new Error());
    return Promise.reject(new BuildFailure('infrastructure', 'Building the kernel failed', fullDisk, {}));
  });
  expect(await mutateVerb(['smoke'], { ...OPTIONS, count: 3 }, session)).toBe(0);
  expect(session.printed).toContain(
    '2 of 3 mutants judged: 2 caught (2 by a suite), 0 survived; 1 did not compile; 0.',
  );
  fullDisk = true;
  vi.stubEnv('DGPU_RIG_CACHE', path.join(session.folder, 'other'));
  fakes.prepareRun.mockClear();
  await expect(mutateVerb(['smoke'], { ...OPTIONS, count: 3 }, session)).rejects.toThrow('Building the kernel failed');
});

test('only what a suite reaches is mutated, and only suites that reach it are run', async () => {
  notices(/^\+/m);
  const coverage = path.join(session.folder, 'c.json');
  const counts = [
    { line: 3, suites: [] },
    { line: 4, suites: ['evict'] },
  ];
  const record = { suites: ['evict', 'smoke'], files: [{ file: FILE, key: sourceKey(TEXT.split('\n')), counts }] };
  writeFileSync(coverage, JSON.stringify(record));
  expect(await mutateVerb([], { ...OPTIONS, count: 3, coverage: [coverage] }, session)).toBe(0);
  expect(session.printed).toMatch(
    /2 of 3 mutants judged: 2 caught \(2 by a suite\), 0 survived; .* each; seed 1, of 2$/m,
  );
  const run = fakes.runVitest.mock.calls.flatMap(([{ projects }]) => JSON.stringify(projects));
  expect(run.filter((text) => text.includes('smoke.suite.ts'))).toEqual([]);
});

test.for([
  ['of a suite that fails anyhow', ['smoke'], {}, /The suite smoke fails without any mutant \(counts: no\)/],
  [
    'of lines that none reaches',
    [],
    { coverage: 'nothing' },
    /no mutant of the series and the driver that these suites could notice/,
  ],
  [
    'by a coverage of other sources',
    [],
    { coverage: 'other' },
    /is of another drivers\/gpu\/drm\/edgpu\/edgpu_x\.c than this kernel has/,
  ],
  [
    'of suites that the coverage lacks',
    ['evict'],
    { coverage: 'nothing' },
    /nobody knows what the suite evict reaches/,
  ],
  ['by a file that is no coverage', [], { coverage: 'junk' }, /that is no file that "coverage --json" wrote/],
  ['of a patch without C', ['smoke'], { patch: 'docs.patch' }, /no file of C is changed there/],
] as const)('a campaign %s is refused in one sentence', async ([, suites, given, message]) => {
  notices(/^/);
  const files = {
    nothing: JSON.stringify({
      suites: ['smoke'],
      files: [{ file: FILE, key: sourceKey(TEXT.split('\n')), counts: [] }],
    }),
    other: JSON.stringify({ suites: ['smoke'], files: [{ file: FILE, key: 'x', counts: [] }] }),
    junk: '[]',
    'docs.patch': 'diff --git a/Documentation/x.rst b/Documentation/x.rst\n',
  };
  const options = Object.entries(given).map(([name, file]) => {
    const place = path.join(session.folder, file);
    writeFileSync(place, files[file]);
    return [name, [place]] as const;
  });
  await expect(mutateVerb(suites, { ...OPTIONS, ...Object.fromEntries(options) }, session)).rejects.toThrow(message);
  expect(session.printed).not.toContain('judged');
});
