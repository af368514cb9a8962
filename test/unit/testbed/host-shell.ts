/** A shell of the host in the guest's place, with programs of a test's own before those of the host. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { onTestFinished } from 'vitest';
import { Guest } from '../../../src/testbed/guest/guest.ts';
import type { Vm } from '../../../src/vm/vm.ts';

/** /run is a folder of its own, which goes with the test. */
export async function guestOfHostShell(programs: Readonly<Record<string, string>>): Promise<Guest> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-guest-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, script] of Object.entries(programs))
    await writeFile(path.join(folder, name), `#!/bin/sh\n${script}`, { mode: 0o755 });
  const exec = async (command: string) => {
    const { exitCode, ...said } = await execa('sh', ['-c', command.replaceAll('/run/', `${folder}/`)], {
      reject: false,
      env: { PATH: `${folder}:${process.env['PATH'] ?? ''}`, TMPDIR: folder },
    });
    return { exitCode: exitCode ?? -1, signal: undefined, stdout: said.stdout, stderr: said.stderr, durationMs: 1 };
  };
  return new Guest({ exec } as unknown as Vm);
}
