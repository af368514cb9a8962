/** What a test is told of a command in the guest that failed, and when a program in the background counts as begun. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { commandFailure, Guest } from '../../../src/testbed/guest/guest.ts';
import type { Vm } from '../../../src/vm/vm.ts';

test.for([
  ['about to fail\n', 'oh no\n', 'oh no\nabout to fail'],
  ['', 'oh no\n', 'oh no'],
  ['about to fail\n', '', 'about to fail'],
  ['', '', 'it said nothing'],
] as const)('stdout %j and stderr %j are both told', ([stdout, stderr, said]) => {
  const failure = commandFailure('false', { exitCode: 7, signal: undefined, stdout, stderr, durationMs: 1 });
  expect(failure).toBe(`"false" failed in the guest with exit code 7: ${said}`);
});

describe('a program in the background', () => {
  /** A shell of the host in the guest's place; its `grep` says for the first time what was true a moment ago. */
  async function guestWithLateGrep(): Promise<Guest> {
    const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-guest-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(
      path.join(folder, 'grep'),
      '#!/bin/sh\n[ -e "$0.asked" ] && exec /bin/grep "$@"\ntouch "$0.asked"\nsleep 0.3\nexit 1\n',
      { mode: 0o755 },
    );
    const exec = async (command: string) => {
      const result = await execa('sh', ['-c', command.replaceAll('/run/', `${folder}/`)], {
        reject: false,
        env: { PATH: `${folder}:${process.env['PATH'] ?? ''}` },
      });
      const { exitCode = -1, stdout, stderr } = result;
      return { exitCode, signal: undefined, stdout, stderr, durationMs: 1 };
    };
    return new Guest({ exec } as unknown as Vm);
  }

  test('that says its word and ends between two looks has begun', async () => {
    const guest = await guestWithLateGrep();
    await guest.runInBackground('echo begun', { until: 'begun' });
  });

  test('that ends without its word has not, and what it said is told', async () => {
    const guest = await guestWithLateGrep();
    await expect(guest.runInBackground('echo no such device', { until: 'begun' })).rejects.toThrow('no such device');
  });
});
