/**
 * What the rig loads before it knows what it is to do: each package costs every call, and each press of Tab, up to a
 * fifth of a second.
 */
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';

test('of all packages only that which reads the command line', async () => {
  const { outputFiles } = await build({
    entryPoints: [repositoryPath('src/cli/main.ts')],
    external: [
      ...['*-verb.ts', './options/completion.ts', './user-defaults.ts', './options/version-text.ts'],
      '../builds/tree/patch-message.ts',
    ],
    ...{ bundle: true, platform: 'node', format: 'esm', packages: 'external', write: false },
  });
  const imports = Array.from(outputFiles[0]?.text.matchAll(/^import .*from "([^"]+)";$/gm) ?? [], ([, name]) => name);
  expect(new Set(imports.filter((name) => name?.startsWith('node:') !== true))).toEqual(new Set(['commander']));
});
