/** Temporary folders of rigs that were killed go when another rig makes one. */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { temporaryFolder } from '../../../src/util/temporary-folder.ts';

/** No process has it: numbers end at 4194304. */
const NOBODY = 4194305;

test('only those whose process is gone, on this host, are removed, whatever they were for', async () => {
  const place = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  vi.stubEnv('TMPDIR', place);
  onTestFinished(async () => {
    vi.unstubAllEnvs();
    await rm(place, { recursive: true });
  });
  const mine = path.basename(await temporaryFolder('gdb'));
  const stay = [
    ...[mine, `dgpu-rig-gdb-${hostname()}-1-AAAAAA`, `dgpu-rig-gdb-another.host-${String(NOBODY)}-AAAAAA`],
    ...[`dgpu-rig-${String(NOBODY)}`, `other-gdb-${hostname()}-${String(NOBODY)}-AAAAAA`],
  ];
  const go = ['gdb', 'watch'].map((purpose) => `dgpu-rig-${purpose}-${hostname()}-${String(NOBODY)}-AAAAAA`);
  for (const name of [...stay, ...go]) await mkdir(path.join(place, name, 'below'), { recursive: true });
  const next = path.basename(await temporaryFolder('bisect'));
  expect((await readdir(place)).sort()).toEqual([...stay, next].sort());
});
