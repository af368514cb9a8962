/** What of the repository a person edits, and what each edit makes necessary. */
import { watch, type Dirent, type FSWatcher } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Part } from '../../builds/fresh-files.ts';
import { repositoryPath } from '../../config/paths.ts';

/** What has to be built again: one of the parts that are built by themselves, or whatever the cache finds changed; or the suites read again. */
export type Need = Part | 'build' | 'suites';

const WATCHED = ['guest-kernel', 'images', 'rig', 'src/suites', 'src/testbed'] as const;

/** Nothing, where the tests just have to be run again; undefined for what is not source. */
export function needsOf(file: string): readonly Need[] | undefined {
  // What editors write beside a file, and what is only read by people.
  if (/(^|\/)(\.|#|\d+$)|~$|\.sw.$|\.(md|rst|o|ko|tmp)$/.test(file)) return undefined;
  // The stress program is compiled with this header of the driver's, too.
  if (file === 'guest-kernel/edgpu/edgpu_drm.h') return ['driver', 'stress'];
  if (/^guest-kernel\/edgpu\/[^/]+\.[ch]$/.test(file)) return ['driver'];
  if (/^images\/stress\/[^/]+\.[ch]$/.test(file)) return ['stress'];
  if (/^src\/(suites|testbed)\//.test(file)) return ['suites'];
  if (file.startsWith('rig/machines/')) return [];
  return ['build'];
}

/** An editor that saves several files, or one in several steps, is one change. */
const SETTLE_MS = 80;

export interface Edit {
  readonly files: readonly string[];
  readonly needs: ReadonlySet<Need>;
  /** When the first of them was saved, as performance.now() has it. */
  readonly savedAt: number;
}

/** Calls `onEdit` for every change from now on, until the signal aborts. */
export async function watchFiles(
  signal: AbortSignal,
  onEdit: (edit: Edit) => void,
  root = repositoryPath(),
): Promise<void> {
  const watched = new Map<string, FSWatcher>();
  let known: ReadonlySet<string> = new Set();
  let touched = new Set<string>();
  let savedAt = 0;
  let timer: NodeJS.Timeout | undefined;
  const settle = async (): Promise<void> => {
    const [candidates, since, before] = [touched, savedAt, known];
    touched = new Set();
    await look();
    // What came and went is how some editors save; what was there before and is gone is an edit, too.
    const files = [...candidates].filter((file) => known.has(file) || before.has(file));
    const needs = new Set(files.flatMap((file) => needsOf(file) ?? []));
    if (files.length > 0) onEdit({ files, needs, savedAt: since });
  };
  const touch = (file: string): void => {
    if (needsOf(file) === undefined) return;
    if (touched.size === 0) savedAt = performance.now();
    touched.add(file);
    clearTimeout(timer);
    timer = setTimeout(() => void settle(), SETTLE_MS);
  };
  const look = async (): Promise<void> => {
    const { folders, files } = await listSources(root);
    known = new Set(files);
    // Folder by folder: a watch on a file is lost when an editor puts another file in its place.
    for (const folder of folders.filter((name) => !watched.has(name))) {
      const watcher = watch(path.join(root, folder), (_, name) => touch(path.join(folder, name ?? '')));
      watched.set(folder, watcher);
    }
  };
  await look();
  const stop = (): void => {
    for (const watcher of watched.values()) watcher.close();
  };
  signal.addEventListener('abort', stop, { once: true });
}

async function listSources(
  root: string,
): Promise<{ readonly folders: readonly string[]; readonly files: readonly string[] }> {
  const listed = await Promise.all(
    WATCHED.map((folder) => readdir(path.join(root, folder), { recursive: true, withFileTypes: true })),
  );
  const nameOf = ({ parentPath, name }: Dirent): string => path.relative(root, path.join(parentPath, name));
  const entries = listed.flat();
  const folders = entries.filter((entry) => entry.isDirectory()).map(nameOf);
  return { folders: [...WATCHED, ...folders], files: entries.filter((entry) => entry.isFile()).map(nameOf) };
}
