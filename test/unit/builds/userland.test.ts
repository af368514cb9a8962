/** What is wrong with the packages of a userland is told before one of them is fetched. */
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { expect, vi } from 'vitest';
import { fetchUserland } from '../../../src/builds/debian/userland.ts';
import { test } from '../cache/temporary-cache.ts';
import { makeKey, serveArchive } from './loopback-archive.ts';

test('packages that do not exist are all named, with those that may be meant', async ({ cache }) => {
  vi.stubEnv('APT_CONFIG', '/dev/null');
  vi.stubEnv('no_proxy', '127.0.0.1');
  const key = await makeKey(cache, 'key');
  const names = ['stress-ng', 'bash', 'of-source'] as const;
  const packages = names.map((name) => {
    const kind = name === 'of-source' ? 'source' : 'binary';
    return { name, version: '1-1', kind, content: '' } as const;
  });
  const uri = await serveArchive(path.join(cache, 'archive'), [{ name: 'stable', key, packages }]);
  const folder = path.join(cache, 'fetched');
  await mkdir(folder);
  const fetched = fetchUserland(['bash', 'nosuchprogram', 'of-source', 'stres-ng'], 'stable', {
    order: [{ archive: 'system', suites: 'own', 'check-valid-until': true }],
    system: { uris: [uri], signedBy: key.keyring },
    ...{ folder, log: path.join(cache, 'log'), signal: new AbortController().signal, onLine: () => undefined },
  });
  await expect(fetched).rejects.toMatchObject({
    failureClass: 'usage',
    message: '--install: stable of Debian has no package nosuchprogram and no of-source and no stres-ng.',
    remedy: expect.stringMatching(/^Did you mean stress-ng\?/) as string,
  });
  expect(await readdir(folder)).toEqual([]);
  vi.unstubAllEnvs();
});
