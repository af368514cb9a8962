/** Which suite a person means, and whether it can be read. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import ts from 'typescript';
import { repositoryPath } from '../../../src/config/paths.ts';
import { isOutside, suiteFiles, suiteOf } from '../../../src/plan/suite-files.ts';
import { checkSuites } from '../../../src/plan/suite-syntax.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  const files = { 'mine.suite.ts': 'const x: number = 1;\n', 'smoke.suite.ts': '', 'mine.ts': '' };
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text);
  await writeFile(path.join(folder, 'garbled.suite.ts'), "import { test } from 'dgpu-rig';\n\n  test('a', () => {;\n");
});
afterAll(() => rm(folder, { recursive: true }));

test.for(['smoke', 'src/suites/smoke.suite.ts', repositoryPath('src/suites/smoke.suite.ts')])(
  '%s is the smoke',
  (word) => expect(suiteOf(word)).toBe('smoke'),
);

test('a file elsewhere is called by its path', async () => {
  const file = path.join(folder, 'mine.suite.ts');
  expect(suiteOf(path.relative(process.cwd(), file))).toBe(file);
  expect(isOutside(suiteOf(file))).toBe(true);
  expect(await suiteFiles([file])).toEqual([file]);
  expect(await suiteFiles([file, 'smoke'])).toEqual([repositoryPath('src/suites/smoke.suite.ts'), file]);
  expect(suiteOf('nosuch')).toBe('nosuch');
});

test.for([
  ['nosuch.suite.ts', 'There is no suite '],
  ['mine.ts', 'has to end with .suite.ts'],
  ['smoke.suite.ts', 'two suites named smoke'],
] as const)('%s is refused', async ([name, message]) => {
  const file = path.join(folder, name);
  await expect(suiteFiles([file])).rejects.toMatchObject({
    failureClass: 'usage',
    message: expect.stringContaining(message) as string,
  });
});

test('a suite that is no TypeScript is told with line and column', async () => {
  await checkSuites([path.join(folder, 'mine.suite.ts')]);
  const garbled = path.join(folder, 'garbled.suite.ts');
  await expect(checkSuites([garbled])).rejects.toMatchObject({
    failureClass: 'usage',
    message: `${garbled}:4:1: the suite can't be read: Unexpected end of file`,
  });
});

test.for([
  ['dgpu-rig', 'src/testbed/for-suites.ts'],
  ['dgpu-rig/testbed/witnesses/reach.ts', 'src/testbed/witnesses/reach.ts'],
] as const)('an editor finds the types of %s', ([name, file]) => {
  // The package may refer to itself, which is resolved by the same "exports" as in a project that it is linked into.
  const options = { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext };
  const { resolvedModule } = ts.resolveModuleName(name, repositoryPath('test/x.ts'), options, ts.sys);
  expect(resolvedModule?.resolvedFileName).toBe(repositoryPath(file));
});
