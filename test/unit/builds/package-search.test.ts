/**
 * Packages come from the first archive that has them, signed by the right key: real apt, small archives on the
 * loopback.
 */

import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, vi } from 'vitest';

import { fetchPackages } from '../../../src/builds/debian/package-search.ts';
import type { FetchedPackage } from '../../../src/builds/debian/package-search.ts';
import { loadPackageSources } from '../../../src/builds/debian/package-sources.ts';
import type { SourceOrder, WantedPackage } from '../../../src/builds/debian/package-sources.ts';
import { test as base } from '../cache/temporary-cache.ts';
import { makeKey, serveArchive } from './loopback-archive.ts';
import type { ArchiveKey, SamplePackage } from './loopback-archive.ts';

const LINUX: WantedPackage = {
  ...{ name: 'linux-sample', kind: 'binary', suite: 'stable', version: '7.3', instead: '--kernel-src' },
};
const QEMU: WantedPackage = { ...LINUX, name: 'qemu-sample', kind: 'source', version: '10.0', instead: '--qemu-src' };

function sample({ name, kind }: WantedPackage, version: string, content = version): SamplePackage {
  return { name, kind, version, content };
}

interface Archives {
  /** The key that is trusted, and another one. */
  readonly key: ArchiveKey;
  readonly wrong: ArchiveKey;
  readonly search: (order: SourceOrder, ...wanted: WantedPackage[]) => Promise<FetchedPackage[]>;
  /** Where the search puts its files. */
  readonly folder: string;
}

const test = base.extend<{ archives: Archives }>({
  archives: async ({ cache }, use) => {
    const [key, wrong] = await Promise.all([makeKey(cache, 'right'), makeKey(cache, 'wrong')]);
    // The machine's own configuration may have a proxy, or accept lists that have expired.
    const config = path.join(cache, 'host-apt.conf');
    await writeFile(config, 'Dir::Etc::Parts "/dev/null";\nAcquire::http::Proxy::127.0.0.1 "DIRECT";\n');
    vi.stubEnv('APT_CONFIG', config);
    const folder = path.join(cache, 'fetched');
    await mkdir(folder);
    const log = path.join(cache, 'log');
    const { signal } = new AbortController();
    const system = { uris: ['http://127.0.0.1:1'], signedBy: key.keyring };
    const search: Archives['search'] = (order, ...wanted) =>
      fetchPackages(wanted, { order, system, folder, log, signal, onLine: () => undefined });
    await use({ key, wrong, search, folder });
    vi.unstubAllEnvs();
  },
});

function ask(archive: string, suites: 'own' | string[] = 'own', valid = true): SourceOrder[number] {
  return { archive, suites, 'check-valid-until': valid };
}

describe('a package', { concurrent: false }, () => {
  test('comes from the second archive when the first lacks it, with its hash', async ({ cache, archives }) => {
    const { key, search, folder } = archives;
    const first = await serveArchive(path.join(cache, 'a'), [
      { name: 'stable', key, packages: [sample(QEMU, '1:10.0.2-1')] },
    ]);
    const second = await serveArchive(path.join(cache, 'b'), [
      { name: 'stable', key, packages: [sample(LINUX, '7.3.4-1~bpo13+1'), sample(QEMU, '1:10.0.9-1')] },
    ]);
    const [linux, qemu] = await search([ask(first), ask(second)], LINUX, QEMU);
    expect(linux).toMatchObject({ version: '7.3.4-1~bpo13+1', from: `stable of ${second}` });
    expect(linux?.notFrom).toEqual([`stable of ${first}: has no such package`]);
    expect(qemu).toMatchObject({ version: '1:10.0.2-1', file: 'qemu-sample_10.0.2-1.dsc', notFrom: [] });
    for (const fetched of [linux, qemu]) {
      const content = await readFile(path.join(folder, String(fetched?.file)));
      expect(fetched?.sha256).toBe(createHash('sha256').update(content).digest('hex'));
    }
  });

  test('is refused where the signature is wrong, and all that were tried are named', async ({ cache, archives }) => {
    const { key, wrong, search } = archives;
    const packages = [sample(LINUX, '7.3.4-1')];
    const other = await serveArchive(path.join(cache, 'a'), [{ name: 'stable', key, packages: [] }]);
    const forged = await serveArchive(path.join(cache, 'b'), [{ name: 'stable', key: wrong, packages }]);
    const gone = ask(other, ['nosuch']);
    const fault = await search([ask(other), gone, ask(forged)], LINUX).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(fault).toMatchObject({ failureClass: 'infrastructure' });
    const { message, remedy } = fault as { message: string; remedy: string };
    expect(message).toContain(`stable of ${other}: has no such package`);
    expect(message).toMatch(new RegExp(`nosuch of ${other}: .*404`));
    expect(message).toMatch(new RegExp(`stable of ${forged}: .*signature`));
    expect(message).not.toContain('Unable to locate');
    expect(remedy).toContain('--kernel-src DIR');
  });

  test('whose archive is of the past is had only where that is allowed', async ({ cache, archives }) => {
    const { key, search } = archives;
    const suites = [{ name: 'stable', key, packages: [sample(LINUX, '7.3.4-1')], expired: true }];
    const archive = await serveArchive(path.join(cache, 'a'), suites);
    const [linux] = await search([ask(archive), ask(archive, 'own', false)], LINUX);
    expect(linux?.notFrom).toHaveLength(1);
    expect(linux?.notFrom[0]).toMatch(/expired/);
  });

  test('is the newest of several suites that will do', async ({ cache, archives }) => {
    const { key, search } = archives;
    const archive = await serveArchive(path.join(cache, 'a'), [
      { name: 'stable', key, packages: [] },
      { name: 'testing', key, packages: [sample(LINUX, '7.3.4-1~bpo13+1'), sample(LINUX, '7.3~rc1-1')] },
      { name: 'sid', key, packages: [sample(LINUX, '7.3.10-1'), sample(LINUX, '7.30.1-1')] },
      { name: 'old', key, packages: [sample(LINUX, '7.3.9-1')] },
    ]);
    const [linux] = await search([ask(archive), ask(archive, ['testing', 'sid', 'old'])], LINUX);
    expect(linux).toMatchObject({ version: '7.3.10-1', from: `sid of ${archive}` });
  });

  test('has another identity when its content differs, whatever its name', async ({ cache, archives }) => {
    const { key, search, folder } = archives;
    const hashes = [];
    for (const content of ['one', 'two']) {
      const suites = [{ name: 'stable', key, packages: [sample(LINUX, '7.3.4-1', content)] }];
      const [linux] = await search([ask(await serveArchive(path.join(cache, content), suites))], LINUX);
      hashes.push(linux?.sha256);
      await rm(path.join(folder, String(linux?.file)));
    }
    expect(hashes[0]).not.toBe(hashes[1]);
  });
});

test("the rig's own list: expired lists are accepted from the archive of the past only, and it is asked last", async () => {
  const { order } = await loadPackageSources();
  expect(order.map(({ archive }) => archive === 'system')).toEqual([true, true, false]);
  expect(order.map((step) => step['check-valid-until'])).toEqual([true, true, false]);
});
