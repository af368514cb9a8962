/** What of the repository a person edits, and what each edit makes necessary. */
import { watch } from 'node:fs';
import path from 'node:path';
import type { Part } from '../build/fresh-files.ts';
import { repositoryPath } from '../config/paths.ts';

/** What has to be built again: one of the parts that are built by themselves, or whatever the cache finds changed. */
export type Need = Part | 'build';

const WATCHED = ['guest-kernel', 'images', 'rig', 'src/suites', 'src/suite'] as const;

/** Nothing, where the tests just have to be run again; undefined for what is not source. */
export function needsOf(file: string): readonly Need[] | undefined {
  // What editors write beside a file, and what is only read by people.
  if (/(^|\/)(\.|#|\d+$)|~$|\.sw.$|\.(md|rst|o|ko|tmp)$/.test(file)) return undefined;
  // The stress program is compiled with this header of the driver's, too.
  if (file === 'guest-kernel/edgpu/edgpu_drm.h') return ['driver', 'stress'];
  if (/^guest-kernel\/edgpu\/[^/]+\.[ch]$/.test(file)) return ['driver'];
  if (/^images\/stress\/[^/]+\.[ch]$/.test(file)) return ['stress'];
  if (/^(src\/suites?|rig\/machines)\//.test(file)) return [];
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
export function watchFiles(signal: AbortSignal, onEdit: (edit: Edit) => void): void {
  let files = new Map<string, readonly Need[]>();
  let savedAt = 0;
  let timer: NodeJS.Timeout | undefined;
  const settle = (): void => {
    const edit = { files: [...files.keys()], needs: new Set([...files.values()].flat()), savedAt };
    files = new Map();
    onEdit(edit);
  };
  for (const folder of WATCHED) {
    watch(repositoryPath(folder), { recursive: true, signal }, (_, name) => {
      const file = path.join(folder, name ?? '');
      const needs = needsOf(file);
      if (needs === undefined) return;
      if (files.size === 0) savedAt = performance.now();
      files.set(file, needs);
      clearTimeout(timer);
      timer = setTimeout(settle, SETTLE_MS);
    });
  }
}
