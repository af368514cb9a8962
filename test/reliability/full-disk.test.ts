/** A disk that fills up in each step: the rig says so, what to do, and goes on where it was once there is room. */
import { describe, expect, test } from 'vitest';
import { EFFORT } from './random-moments.ts';
import { NO_SANDBOX, Sandbox, SMALL_RUN, until, type RigRun } from './sandbox.ts';

const INFRASTRUCTURE = 4;
const TIMEOUT = { timeout: 900_000 };

async function expectComplaint(run: RigRun, complaint: RegExp): Promise<void> {
  expect(await run.ended, run.output).toEqual({ code: INFRASTRUCTURE, signal: null });
  expect(run.output).toMatch(complaint);
  expect(run.output).not.toContain('bug of the rig itself');
}

interface BuildStep {
  readonly stage: string;
  /** Room for less than it writes. */
  readonly leaveKiB: number;
}

const STEPS: readonly BuildStep[] = [
  { stage: 'packages', leaveKiB: 4096 },
  { stage: 'firmware', leaveKiB: 4096 },
  { stage: 'qemu', leaveKiB: 1024 },
  { stage: 'kernel', leaveKiB: 2048 },
  { stage: 'guest-image', leaveKiB: 1024 },
];

describe.skipIf(NO_SANDBOX !== undefined)(`a full disk${NO_SANDBOX === undefined ? '' : ` (${NO_SANDBOX})`}`, () => {
  // Minutes of building: not part of what every change runs.
  const steps = EFFORT > 1 ? STEPS : [];

  test.for(steps)('while $stage is built', TIMEOUT, async ({ stage, leaveKiB }) => {
    const sandbox = await Sandbox.open({ sizeMiB: 3072 });
    await sandbox.forget(stage);
    const empty = await sandbox.fill(leaveKiB);
    await expectComplaint(sandbox.start('build'), /DGPU_RIG_CACHE at (a larger|another) disk/);
    await sandbox.expectClean();
    await empty();
    const again = sandbox.start('build');
    expect((await again.ended).code, again.output).toBe(0);
    await sandbox.expectClean();
  });

  test('that is too small for a kernel is refused before anything is unpacked', TIMEOUT, async () => {
    const sandbox = await Sandbox.open({ sizeMiB: 500, only: ['apt', 'packages', 'firmware', 'qemu'] });
    await expectComplaint(
      sandbox.start('build'),
      /has 0\.\d GiB free, and a build needs \S+ GiB there.*\n.*DGPU_RIG_CACHE/,
    );
    await sandbox.expectClean();
  });

  test('where artifacts go, while a VM is made', TIMEOUT, async () => {
    const sandbox = await Sandbox.open({ artifactsMiB: 2 });
    await expectComplaint(sandbox.start(...SMALL_RUN), /disk is full|No space left|ENOSPC/);
    await sandbox.expectClean();
  });

  test('where artifacts go, while the guest swaps', TIMEOUT, async () => {
    const sandbox = await Sandbox.open({ artifactsMiB: 48 });
    const run = sandbox.start(...SMALL_RUN);
    await until(() => run.hasEnded, 300_000);
    await expectComplaint(run, /The host's disk is full/);
    await sandbox.expectClean();
  });
});
