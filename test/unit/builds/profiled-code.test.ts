/** Which objects of a kernel of the flavour gcov count what they execute. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { gcovProgram } from '../../../src/builds/kernel/gcov-program.ts';
import { DRIVER_GRAFT, PATCH_FOLDER } from '../../../src/builds/kernel/kernel-build.ts';
import {
  codeToProfile,
  collectCompiled,
  isProfiled,
  moduleOf,
  profilingLine,
} from '../../../src/builds/kernel/profiled-code.ts';
import { readSeries } from '../../../src/builds/tree/patch-series.ts';
import { insertHookLine } from '../../../src/builds/tree/source-hooks.ts';

const CODE = codeToProfile(await readSeries(PATCH_FOLDER), DRIVER_GRAFT.to);

/** As scripts/Makefile.lib has it. */
const MAKEFILE_LIB = `ifeq ($(CONFIG_GCOV_KERNEL),y)
_c_flags += $(if $(patsubst n%,,$(GCOV_PROFILE_$(target-stem).o)),$(CFLAGS_GCOV))
endif
`;

test.for([
  ['drivers/gpu/drm/ttm', 'ttm_bo', true],
  ['drivers/gpu/drm/edgpu', 'edgpu_drv', true],
  ['mm', 'shmem', true],
  ['mm', 'shmem_limit', true],
  ['mm', 'slub', false],
  // Of the same name in another folder.
  ['fs', 'shmem', false],
  ['drivers/gpu/drm/ttm/tests', 'ttm_bo_test', false],
  ['mm/tests', 'shmem_limit_kunit', false],
] as const)('%s/%s.c: %o', async ([folder, stem, counts]) => {
  const line = insertHookLine(MAKEFILE_LIB, profilingLine(CODE));
  if ('fault' in line) throw new Error(line.fault);
  const place = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(place, { recursive: true }));
  const settings = `CONFIG_GCOV_KERNEL := y\nCFLAGS_GCOV := --counts\nobj := ${folder}\ntarget-stem = ${stem}\n`;
  await writeFile(path.join(place, 'Makefile'), `${settings}${line.text}all:\n\t@echo flags $(_c_flags)\n`);
  const { stdout } = await execa('make', ['-s'], { cwd: place });
  expect(stdout.trim()).toBe(counts ? 'flags --counts' : 'flags');
  expect(isProfiled(`${folder}/${stem}.c`, CODE)).toBe(counts);
});

afterEach(() => {
  vi.unstubAllEnvs();
});

test.for([
  ['no gcov', undefined, /gcc 99\.1\.0, and there is none/],
  ['the gcov of another compiler', '12.2.0', /gcc 99\.1\.0, and .*gcov is of 12\.2\.0/],
] as const)('a host with %s is told the package', async ([, version, message]) => {
  const place = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(place, { recursive: true }));
  const program = async (name: string, script: string): Promise<void> => {
    await writeFile(path.join(place, name), `#!/bin/sh\n${script}\n`);
    await chmod(path.join(place, name), 0o755);
  };
  const gcov = path.join(place, 'gcov');
  await program('gcc', `case $1 in --version) echo 'gcc (Debian) 99.1.0';; *) echo ${gcov};; esac`);
  if (version !== undefined) await program('gcov', `echo 'gcov (Debian) ${version}'`);
  vi.stubEnv('PATH', place);
  const refused = gcovProgram();
  await expect(refused).rejects.toThrow(message);
  await expect(refused).rejects.toMatchObject({
    failureClass: 'infrastructure',
    remedy: expect.stringContaining('apt-get install') as string,
  });
});

test('what is compiled is collected, and the module that it is in', async () => {
  const place = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(place, { recursive: true }));
  const file = async (name: string, text = ''): Promise<void> => {
    await mkdir(path.dirname(path.join(place, 'tree', name)), { recursive: true });
    await writeFile(path.join(place, 'tree', name), text);
  };
  const ttm = 'drivers/gpu/drm/ttm';
  for (const name of [`${ttm}/ttm_tt`, `${ttm}/ttm_bo`, 'mm/shmem']) {
    await file(`${name}.c`);
    await file(`${name}.o`);
  }
  await file(`${ttm}/ttm.mod`, `${ttm}/ttm_tt.o\n${ttm}/ttm_bo.o\n\n`);
  const collected = path.join(place, 'mutable');
  await collectCompiled(path.join(place, 'tree'), CODE, collected);
  expect(await moduleOf(`${ttm}/ttm_bo.c`, collected)).toBe(`kernel/${ttm}/ttm.ko`);
  expect(await moduleOf('mm/shmem.c', collected)).toBeUndefined();
});
