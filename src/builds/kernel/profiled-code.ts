/** The code whose executed lines the flavour gcov counts: TTM, the driver, and what the series adds or touches. */

import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';

import { touchedFiles, type Patch } from '../tree/patch-series.ts';
import type { LineHook } from '../tree/source-hooks.ts';

export interface ProfiledCode {
  /** Folders of the tree with all their files, but not with folders in them. */
  readonly folders: readonly string[];
  /** Single files of other folders, sources and headers. */
  readonly files: readonly string[];
}

const TTM = 'drivers/gpu/drm/ttm';

/** What the kernel's own tests are made of is no code that could lack a test. */
const TEST_CODE = /^tools\/|\/tests\//;

export function codeToProfile(series: readonly Patch[], driver: string): ProfiledCode {
  const touched = new Set(series.flatMap(touchedFiles).filter((file) => /\.[ch]$/.test(file) && !TEST_CODE.test(file)));
  return { folders: [TTM, driver], files: [...touched].filter((file) => !file.startsWith(`${TTM}/`)).sort() };
}

/** Is this file of the tree, a source or a header, among it? */
export function isProfiled(file: string, { folders, files }: ProfiledCode): boolean {
  return folders.includes(path.posix.dirname(file)) || files.includes(file);
}

/**
 * What kbuild is told: a list in its own Makefile, where each object's flags are put together, leaves the Makefiles of
 * all folders, which the series changes, as they are.
 */
export function profilingLine({ folders, files }: ProfiledCode): LineHook {
  const objects = files.filter((file) => file.endsWith('.c')).map((file) => file.replace(/c$/, 'o'));
  const chosen = `$(filter ${folders.join(' ')},$(obj))$(filter ${objects.join(' ')},$(obj)/$(target-stem).o)`;
  return {
    file: 'scripts/Makefile.lib',
    after: 'ifeq ($(CONFIG_GCOV_KERNEL),y)',
    line: `_c_flags += $(if ${chosen},$(CFLAGS_GCOV))`,
  };
}

/** Folders of what `collectProfiled` copies. */
export const NOTES = 'notes';
export const SOURCES = 'sources';

/** What counters are read with: the compiler's notes on each object, and the sources, each by its path in the tree. */
export async function collectProfiled(tree: string, code: ProfiledCode, to: string): Promise<void> {
  for (const { folder, names } of await foldersOf(tree, code)) {
    for (const name of names) {
      const file = path.posix.join(folder, name);
      const source = /\.[ch]$/.test(file);
      if (!source && !file.endsWith('.gcno')) continue;
      if (!isProfiled(source ? file : file.replace(/gcno$/, 'c'), code)) continue;
      await collect(tree, file, path.join(to, source ? SOURCES : NOTES));
    }
  }
}

const MODULES = 'modules.json';
const modulesFile = z.record(z.string(), z.string());

/** The sources among it that this configuration compiles, each by its path in the tree, and the modules they are in. */
export async function collectCompiled(tree: string, code: ProfiledCode, to: string): Promise<void> {
  const modules = new Map<string, string>();
  for (const { folder, names } of await foldersOf(tree, code)) {
    const sources = names.filter((name) => name.endsWith('.c') && names.includes(name.replace(/c$/, 'o')));
    const files = sources.map((name) => path.posix.join(folder, name)).filter((file) => isProfiled(file, code));
    // What links a module is no code of anybody's.
    for (const file of files.filter((name) => !name.endsWith('.mod.c')))
      await collect(tree, file, path.join(to, SOURCES));
    for (const list of names.filter((name) => name.endsWith('.mod'))) {
      const objects = (await readFile(path.join(tree, folder, list), 'utf8')).split(/\s+/);
      const module = path.posix.join('kernel', folder, list.replace(/mod$/, 'ko'));
      for (const object of objects) modules.set(object.replace(/o$/, 'c'), module);
    }
  }
  await writeFile(path.join(to, MODULES), JSON.stringify(Object.fromEntries(modules)));
}

/** Where a source's module is among those that are installed, by what `collectCompiled` wrote; else it is built in. */
export async function moduleOf(file: string, collected: string): Promise<string | undefined> {
  return modulesFile.parse(JSON.parse(await readFile(path.join(collected, MODULES), 'utf8')))[file];
}

async function foldersOf(
  tree: string,
  { folders, files }: ProfiledCode,
): Promise<{ readonly folder: string; readonly names: readonly string[] }[]> {
  const all = [...new Set([...folders, ...files.map((file) => path.posix.dirname(file))])];
  return Promise.all(
    all.map(async (folder) => {
      // A tree without the series has no folder of the driver.
      const names = await readdir(path.join(tree, folder)).catch(() => []);
      return { folder, names };
    }),
  );
}

async function collect(tree: string, file: string, to: string): Promise<void> {
  const target = path.join(to, file);
  await mkdir(path.dirname(target), { recursive: true });
  await copyFile(path.join(tree, file), target);
}
