/**
 * IGT, the tests that DRM drivers share, as Debian has them: those for any driver, on edgpu and on two drivers of
 * upstream's. What is expected of each is in rig/igt, in the form of the kernel's own drm-ci.
 */
import { writeFile } from 'node:fs/promises';
import { describe, expect, inject } from 'vitest';
import { obtainIgt, igtProgram, IGT_LOADER } from '../builds/debian/igt-package.ts';
import { slowdownOf } from '../config/flavour.ts';
import {
  failuresCsv,
  igtExpectations,
  igtResults,
  isSkipped,
  judgedIgt,
  type IgtExpectations,
  type IgtResult,
} from '../plan/igt.ts';
import { test } from '../testbed/fixtures.ts';
import type { Guest } from '../testbed/guest/guest.ts';
import { RigError } from '../util/rig-error.ts';
import { putFiles } from '../vm/link/file-transfer.ts';

const { selection, build } = inject('rig');

/** Of one program, in the guest. */
const LIMIT_S = 240 * slowdownOf(selection.flavour);
const TEST_LIMIT_MS = 3_600_000 * slowdownOf(selection.flavour);
const FOLDER = '/tmp/igt';

const DRIVERS = [
  { module: 'edgpu', machine: 'noswap' },
  { module: 'qxl', machine: 'qxl' },
  { module: 'bochs', machine: 'bochs' },
] as const;

for (const { module, machine } of DRIVERS) {
  describe(`on ${module}`, { concurrent: true }, () => {
    test.override({ machine, stateless: true });

    test.skipIf(module === 'edgpu' && build.kernel.unpatched)(
      'each part does what it is known to do',
      { timeout: TEST_LIMIT_MS },
      async ({ vm, guest, task, annotate, signal }) => {
        const expectations = await igtExpectations(module);
        const igt = await obtainIgt(() => undefined, signal);
        await putFiles(vm.session(), igt.archive, '/tmp/igt.tar.gz', vm.signal);
        await guest.run(`mkdir ${FOLDER} && tar -xzf /tmp/igt.tar.gz -C ${FOLDER} && rm /tmp/igt.tar.gz`);
        await guest.run(`modprobe ${module} && test -c /dev/dri/card0`);
        const results: IgtResult[] = [];
        // What was said before the kernel died counts.
        const tell = (): void => void (task.meta.subtests = judgedIgt(results, expectations));
        for (const program of igt.programs.filter((name) => !isSkipped(name, expectations))) {
          await annotate(`running ${program}`, 'step');
          results.push(...(await runProgram(guest, program, expectations)));
          tell();
        }
        await writeFile(vm.folder.file('failures.csv'), failuresCsv(results));
        const failed = judgedIgt(results, expectations).filter(({ status }) => status === 'fail');
        if (failed.length > 0) throw unexpected(module, failed.length);
        expect(results.some(({ status }) => status === 'Pass')).toBe(true);
      },
    );
  });
}

/** All of its parts but those that are not to be run. */
async function runProgram(guest: Guest, program: string, expectations: IgtExpectations): Promise<IgtResult[]> {
  const command = `${IGT_LOADER} ${igtProgram(program)}`;
  const some = expectations.skips.some(({ source }) => source.includes('@'));
  const parts = some ? (await guest.exec(`cd ${FOLDER} && ${command} --list-subtests`)).stdout.split('\n') : [];
  const skipped = parts.filter((part) => isSkipped(`${program}@${part.trim()}`, expectations));
  const chosen = skipped.length === 0 ? '' : ` --run-subtest '*,${skipped.map((part) => `!${part.trim()}`).join(',')}'`;
  const { exitCode, stdout, durationMs } = await guest.exec(
    `cd ${FOLDER} && timeout ${String(LIMIT_S)} ${command}${chosen} 2>&1`,
    { deadlineMs: 2000 * LIMIT_S },
  );
  return igtResults(program, { exitCode, output: stdout, timedOut: durationMs >= 1000 * LIMIT_S });
}

function unexpected(module: string, count: number): RigError {
  const error = new RigError(
    'test',
    `IGT on ${module}: ${String(count)} of its cases did not do what rig/igt/${module}-fails.txt and ${module}-flakes.txt say.`,
    { remedy: 'failures.csv, in the artifacts, has all that failed in the form of these files.' },
  );
  // No line of this file says why.
  return Object.assign(error, { stack: '' });
}
