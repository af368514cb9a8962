/** What of the repository a person edits, and what each edit makes necessary. */
import { watch } from 'node:fs';
import path from 'node:path';
import { repositoryPath } from '../config/paths.ts';

/** `driver`: its module alone; `build`: whatever the cache finds changed; `tests`: nothing, but they have to be run. */
export type Need = 'tests' | 'driver' | 'build';

const WATCHED = ['guest-kernel', 'images', 'rig', 'src/suites', 'src/suite'] as const;

/** Undefined for what is not source. */
export function needOf(file: string): Need | undefined {
  // What editors write beside a file, and what is only read by people.
  if (/(^|\/)(\.|#|\d+$)|~$|\.sw.$|\.(md|rst|o|ko|tmp)$/.test(file)) return undefined;
  // The stress program is compiled with this header of the driver's, too.
  if (file === 'guest-kernel/edgpu/edgpu_drm.h') return 'build';
  if (/^guest-kernel\/edgpu\/[^/]+\.[ch]$/.test(file)) return 'driver';
  if (/^(src\/suites?|rig\/machines)\//.test(file)) return 'tests';
  return 'build';
}

const URGENCY: readonly Need[] = ['tests', 'driver', 'build'];

export function greatestNeed(needs: readonly Need[]): Need {
  return URGENCY.findLast((need) => needs.includes(need)) ?? 'tests';
}

/** An editor that saves several files, or one in several steps, is one change. */
const SETTLE_MS = 80;

export interface Edit {
  readonly files: readonly string[];
  readonly need: Need;
  /** When the first of them was saved, as performance.now() has it. */
  readonly savedAt: number;
}

/** Calls `onEdit` for every change from now on, until the signal aborts. */
export function watchFiles(signal: AbortSignal, onEdit: (edit: Edit) => void): void {
  let files = new Map<string, Need>();
  let savedAt = 0;
  let timer: NodeJS.Timeout | undefined;
  const settle = (): void => {
    const edit = { files: [...files.keys()], need: greatestNeed([...files.values()]), savedAt };
    files = new Map();
    onEdit(edit);
  };
  for (const folder of WATCHED) {
    watch(repositoryPath(folder), { recursive: true, signal }, (_, name) => {
      const file = path.join(folder, name ?? '');
      const need = needOf(file);
      if (need === undefined) return;
      if (files.size === 0) savedAt = performance.now();
      files.set(file, need);
      clearTimeout(timer);
      timer = setTimeout(settle, SETTLE_MS);
    });
  }
}
