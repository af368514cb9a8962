/** Whatever has become of the cache, the rig finds out, says so and makes it good. */
import { readdir, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { randomNumbers } from '../../src/util/random.ts';
import { EFFORT, SEED } from './random-moments.ts';
import { corrupt, NO_SANDBOX, Sandbox, SMALL_RUN } from './sandbox.ts';

const TIMEOUT = { timeout: 900_000 };

type Damage = (folder: string, file: string) => Promise<void>;

const DAMAGES: Readonly<Record<string, Damage>> = {
  'a changed byte': async (_, file) => corrupt(file),
  'a file cut short': async (_, file) => truncate(file, 10),
  'a missing file': async (_, file) => rm(file),
  'a list of files that is none': async (folder) => writeFile(path.join(folder, '.entry.json'), '{"files": [{'),
};

describe.skipIf(NO_SANDBOX !== undefined || EFFORT === 1)(
  `the cache${NO_SANDBOX === undefined ? '' : ` (${NO_SANDBOX})`}`,
  () => {
    const random = randomNumbers(SEED);
    const kinds = Object.keys(DAMAGES);
    // One code looks after all stages; those that are built for minutes see one kind of damage each.
    const cases = [
      ...kinds.map((damage) => ({ stage: 'guest-image', damage })),
      ...['firmware', 'packages', 'qemu', 'kernel'].map((stage, position) => ({
        stage,
        damage: String(kinds[position]),
      })),
    ];

    test.for(cases)(`$stage: $damage (seed ${String(SEED)})`, TIMEOUT, async ({ stage, damage }) => {
      const sandbox = await Sandbox.open({ sizeMiB: 4096 });
      // Marks what it uses: a cache may well hold entries that no build here will ever look at again.
      expect((await sandbox.start('build').ended).code).toBe(0);
      for (const entry of await readdir(sandbox.written(stage))) {
        const folder = sandbox.cache(stage, entry);
        const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(
          (file) => file.isFile() && file.name !== '.entry.json',
        );
        const chosen = files[Math.floor(random() * files.length)];
        if (chosen) await DAMAGES[damage]?.(folder, path.join(chosen.parentPath, chosen.name));
      }
      const run = sandbox.start('build');
      expect((await run.ended).code, run.output).toBe(0);
      expect(run.output).toContain('it is built again');
      await sandbox.expectClean();
      const again = sandbox.start('build');
      expect((await again.ended).code, again.output).toBe(0);
      expect(again.output).not.toContain('it is built again');
    });

    test('what it remembers of KVM, and of its work trees', TIMEOUT, async () => {
      const sandbox = await Sandbox.open();
      for (const proof of await readdir(sandbox.cache('kvm-proofs'))) {
        if (proof.endsWith('.json')) await writeFile(sandbox.cache('kvm-proofs', proof), '\0\0\0');
      }
      const run = sandbox.start(...SMALL_RUN);
      expect((await run.ended).code, run.output).toBe(0);
    });
  },
);

describe.skipIf(NO_SANDBOX !== undefined || EFFORT === 1)('two rigs at once', () => {
  test('one builds, the other waits, and both pass', TIMEOUT, async () => {
    const sandbox = await Sandbox.open();
    await sandbox.forget('guest-image');
    await sandbox.forget('firmware');
    const runs = [sandbox.start(...SMALL_RUN), sandbox.start(...SMALL_RUN)];
    for (const run of runs) expect((await run.ended).code, run.output).toBe(0);
    expect(runs.filter(({ output }) => output.includes('= Build SeaBIOS'))).toHaveLength(1);
    await sandbox.expectClean();
  });
});
