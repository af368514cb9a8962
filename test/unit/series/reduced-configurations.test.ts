/** What is off in which configuration, and that a patch that needs it is told with the configuration's name. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readSeries } from '../../../src/builds/tree/patch-series.ts';
import { repositoryPath } from '../../../src/config/paths.ts';
import type { PatchVerdict } from '../../../src/series/patch-verdict.ts';
import { checkReduced, REDUCED_CONFIGURATIONS } from '../../../src/series/reduced-configurations.ts';

/** Options that the series asks about, and that are on wherever it is built. */
const ALWAYS_ON = new Map([
  ['CONFIG_X86', 'the rig builds for no other architecture'],
  ['CONFIG_SPARSEMEM', 'x86-64 has no other memory model'],
]);

/** As much of Kconfig and Kbuild as the check sees: the last word counts, and a macro for each option that is on. */
const MAKEFILE = `
.PHONY: allnoconfig olddefconfig mm/
allnoconfig: ; @: > .config
olddefconfig:
	@awk -F= '/^CONFIG/ { value[$$1] = $$2 } END { for (name in value) print name "=" value[name] }' .config > .sorted
	@mv .sorted .config
	@sed -n 's/=y$$/ 1/; s/^CONFIG_.* 1$$/#define &/p' .config > config.h
mm/: ; $(CC) -Wall -Werror=implicit-function-declaration -include config.h -c mm/shmem.c -o mm/shmem.o
kernel/% drivers/%: ; @:
`;

/** The verdict of the first configuration, which has no swap. */
async function verdictOn(source: string, known: readonly string[] = []): Promise<PatchVerdict> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(path.join(folder, 'mm'));
  await writeFile(path.join(folder, 'Makefile'), MAKEFILE);
  await writeFile(path.join(folder, 'mm/shmem.c'), source);
  const tree = { source: folder, output: folder, dirtyMarker: path.join(folder, 'dirty') };
  const usual = { fragment: 'CONFIG_SWAP=y\nCONFIG_SHMEM=y\nCONFIG_HIBERNATION=y', optional: 'CONFIG_KUNIT=m' };
  const [options = []] = REDUCED_CONFIGURATIONS;
  const build = { options, usual, files: ['mm/shmem.c'], known, title: 'Linux 9.9' };
  const step = { progress: () => undefined };
  return checkReduced(tree, build, { step, log: path.join(folder, 'log'), signal: new AbortController().signal });
}

const NAME = 'the series with CONFIG_SWAP=n CONFIG_HIBERNATION=n';
const SWAP_ONLY = '#ifdef CONFIG_SWAP\nstatic int swapped(void) { return 1; }\n#endif\n';

test('what needs an option that is off is told with the name of the configuration', async () => {
  const verdict = await verdictOn(`${SWAP_ONLY}int shmem(void) { return swapped(); }\n`);
  expect(verdict).toMatchObject({ patch: NAME, complaints: [] });
  expect(verdict.buildFailure).toMatch(/mm\/shmem\.c:4.*swapped/);
});

test('what asks whether the option is on passes, with all else on', async () => {
  const asks = `${SWAP_ONLY}int shmem(void)\n{\n#ifdef CONFIG_SWAP\n\treturn swapped();\n#endif\n\treturn 0;\n}\n`;
  const needs = '#ifndef CONFIG_SHMEM\n#error shmem is off\n#endif\n';
  expect(await verdictOn(needs + asks)).toEqual({ patch: NAME, complaints: [] });
});

test('a warning is told, unless it was there before the series', async () => {
  const unused = 'static int unused(void) { return 0; }\n';
  const warning = expect.stringMatching(/^mm\/shmem\.c: warning: .*unused/) as string;
  const { complaints } = await verdictOn(unused);
  expect(complaints).toEqual([warning]);
  expect((await verdictOn(unused, complaints)).complaints).toEqual([]);
});

test('each option that the series asks about is off in one of them', async () => {
  const asked = (await readSeries(repositoryPath('guest-kernel/patches')))
    .flatMap(({ text }) => text.match(/^\+(?:#\s*(?:if|elif)|.*IS_ENABLED\().*/gm) ?? [])
    .flatMap((line) => line.match(/CONFIG_\w+/g) ?? []);
  const off = new Set(REDUCED_CONFIGURATIONS.flat().map((option) => option.replace(/=n$/, '')));
  const names = new Set(asked);
  expect(names).toContain('CONFIG_SWAP');
  expect([...names].filter((name) => !off.has(name) && !ALWAYS_ON.has(name))).toEqual([]);
  expect([...ALWAYS_ON.keys()].filter((name) => !names.has(name) || off.has(name))).toEqual([]);
});
