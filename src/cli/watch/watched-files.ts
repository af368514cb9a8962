/** What of the repository a person edits, and what each edit makes necessary. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import chokidar from 'chokidar';
import type { Part } from '../../builds/fresh-files.ts';
import { repositoryPath } from '../../config/paths.ts';
import { onAbort, orAbort } from '../../util/on-abort.ts';
import { RigError } from '../../util/rig-error.ts';

/**
 * What has to be built again: one of the parts that are built by themselves, or whatever the cache finds changed; or
 * the suites read again.
 */
export type Need = Part | 'build' | 'suites';

const WATCHED = ['guest-kernel', 'images', 'rig', 'src/suites', 'src/testbed'] as const;

/** Returns nothing where the tests only have to be run again, and undefined for a file that is not source. */
export function needsOf(file: string): readonly Need[] | undefined {
  // A suite that lies elsewhere; nothing else that does is watched.
  if (file.startsWith('../')) return file.endsWith('.suite.ts') ? ['suites'] : undefined;
  // What editors write beside a file, and what is only read by people.
  if (/(^|\/)(\.|#|\d+$)|~$|\.sw.$|\.(md|rst|o|ko|tmp)$/.test(file)) return undefined;
  // The stress program is compiled with this header of the driver's, too.
  if (file === 'guest-kernel/edgpu/edgpu_drm.h') return ['driver', 'stress'];
  if (/^guest-kernel\/edgpu\/[^/]+\.[ch]$/.test(file)) return ['driver'];
  if (/^images\/stress\/.+\.[ch]$/.test(file)) return ['stress'];
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

interface Listener {
  readonly onEdit: (edit: Edit) => void;
  /** Called when the host does not let the rig watch, or not any longer. */
  readonly onError: (error: RigError) => void;
  /** Paths of suites that are not the rig's own. */
  readonly outside?: readonly string[];
}

/** Calls `onEdit` for every change from now on, until the signal aborts. */
export async function watchFiles(
  signal: AbortSignal,
  { onEdit, onError, outside = [] }: Listener,
  root = repositoryPath(),
): Promise<void> {
  signal.throwIfAborted();
  const settled = new SettledEdits(root, onEdit);
  const watcher = chokidar.watch([...WATCHED, ...outside], {
    cwd: root,
    ignored: (file, stats) => stats?.isFile() === true && needsOf(path.relative(root, file)) === undefined,
    // What comes and goes is seen to below; a wait of chokidar's own would only make it late.
    atomic: false,
  });
  for (const event of ['add', 'change', 'unlink'] as const) watcher.on(event, (file) => settled.touch(file));
  watcher.on('error', (cause) => onError(unwatchable(cause)));
  onAbort(signal, () => void watcher.close());
  await orAbort(once(watcher, 'ready'), signal);
  settled.begin();
}

/** From what happens to single files to edits. */
class SettledEdits {
  readonly #root: string;
  readonly #onEdit: (edit: Edit) => void;
  /** The files that were there at the last edit. */
  readonly #known = new Set<string>();
  #touched = new Set<string>();
  #begun = false;
  #savedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(root: string, onEdit: (edit: Edit) => void) {
    this.#root = root;
    this.#onEdit = onEdit;
  }

  /** Until now the events were about files that were there already. */
  begin(): void {
    this.#begun = true;
  }

  touch(file: string): void {
    if (!this.#begun) {
      this.#known.add(file);
      return;
    }
    if (this.#touched.size === 0) this.#savedAt = performance.now();
    this.#touched.add(file);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#settle(), SETTLE_MS);
  }

  #settle(): void {
    const touched = [...this.#touched];
    this.#touched = new Set();
    // Some editors save by way of a file that comes and goes; a file that was there before and is gone is an edit, too.
    const files = touched.filter((file) => this.#exists(file) || this.#known.has(file));
    for (const file of files) {
      if (this.#exists(file)) this.#known.add(file);
      else this.#known.delete(file);
    }
    const needs = new Set(files.flatMap((file) => needsOf(file) ?? []));
    if (files.length > 0) this.#onEdit({ files, needs, savedAt: this.#savedAt });
  }

  /** The event for its end may still be on its way. */
  #exists(file: string): boolean {
    return existsSync(path.join(this.#root, file));
  }
}

function unwatchable(cause: unknown): RigError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new RigError('infrastructure', `The sources can't be watched: ${reason}`, {
    remedy: 'If it says ENOSPC, too many files are watched on this machine: sysctl fs.inotify.max_user_watches=524288',
    cause,
  });
}
