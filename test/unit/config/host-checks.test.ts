/** A machine that will not do is told so in one sentence, with what to do, and one that will is not. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { hostFindings } from '../../../src/config/host-checks.js';
import { test } from '../cache/temporary-cache.ts';

const DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n';
const SID = 'PRETTY_NAME="Debian GNU/Linux forky/sid"\nID=debian\n';
const OLD_DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nID=debian\nVERSION_ID="11"\n';
const UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n';

type Host = NonNullable<Parameters<typeof hostFindings>[0]>;

/** This file system has no space at all. */
const FULL = '/proc/self';

const STAGES = ['packages', 'qemu', 'kernel'];

async function fill(cache: string): Promise<void> {
  for (const stage of STAGES) await mkdir(path.join(cache, stage, 'entry'), { recursive: true }).catch(() => undefined);
}

async function faultsOf(cache: string, host: Host & { readonly system?: string } = {}): Promise<string[]> {
  const { system = DEBIAN, ...rest } = host;
  const osRelease = path.join(cache, 'os-release');
  // Then the space on this disk does not matter.
  if (rest.cache !== FULL) await fill(rest.cache ?? cache);
  await writeFile(osRelease, system);
  const findings = await hostFindings({ architecture: 'x64', osRelease, repository: '/r', cache, ...rest });
  const faults = findings.filter(({ verdict }) => verdict === 'fault');
  // Each says what to do.
  expect(faults.every(({ remedy }) => remedy !== undefined)).toBe(true);
  return faults.map(({ text }) => text);
}

describe('a machine', () => {
  test('with Debian is good', async ({ cache }) => {
    expect(await faultsOf(cache)).toEqual([]);
    expect(await faultsOf(cache, { system: SID })).toEqual([]);
  });

  test('with another system is not', async ({ cache }) => {
    expect(await faultsOf(cache, { system: UBUNTU })).toEqual([expect.stringMatching(/is Ubuntu 24.*needs Debian 12/)]);
    expect(await faultsOf(cache, { system: OLD_DEBIAN })).toEqual([expect.stringContaining('bullseye')]);
    expect(await faultsOf(cache, { system: '' })).toEqual([expect.stringContaining('Debian 12')]);
  });

  test('with another processor is not', async ({ cache }) => {
    expect(await faultsOf(cache, { architecture: 'arm64' })).toEqual([expect.stringMatching(/arm64.*x86-64 only/)]);
  });

  test('may have no blanks in paths', async ({ cache }) => {
    const repository = '/home/my name/rig';
    expect(await faultsOf(cache, { repository })).toEqual([
      expect.stringMatching(/repository .*"\/home\/my name.*blank/),
    ]);
    const other = path.join(cache, 'my cache');
    expect(await faultsOf(cache, { cache: other })).toEqual([expect.stringMatching(/cache .*my cache".*blanks/)]);
  });

  test('needs a cache that can be written', async ({ cache }) => {
    const file = path.join(cache, 'file');
    await writeFile(file, '');
    const [fault] = await faultsOf(cache, { cache: path.join(file, 'cache') });
    expect(fault).toMatch(/file is no folder/);
  });

  test('needs space for what is not built yet', async ({ cache }) => {
    expect((await faultsOf(cache, { cache: FULL })).at(-1)).toMatch(/has 0\.0 GiB free.* needs 6 GiB/);
    await fill(cache);
    const findings = await hostFindings({ cache });
    expect(findings.map(({ text }) => text)).toContainEqual(expect.stringContaining('needs 0 GiB more'));
  });
});
