/** What past runs left in `artifacts/`: how much it is, and what of it nobody will look at any more. */
import { lstat, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { bytes } from '../text/quantity-text.ts';

export interface RunArtifacts {
  readonly folder: string;
  readonly bytes: number;
  /** When anything in it was written last, as Date.now() has it. */
  readonly writtenAt: number;
}

interface ArtifactLimits {
  /** What was not written to for longer goes. */
  readonly olderMs: number;
  /** Of what is left the oldest go, until so much is left. */
  readonly aboveBytes: number;
}

const DAY_MS = 24 * 3600 * 1000;

export const USUAL_LIMITS: ArtifactLimits = { olderMs: 30 * DAY_MS, aboveBytes: 5 * 2 ** 30 };

/** A run may still write to it, or its person look at it, whatever the limits are. */
const RECENT_MS = DAY_MS;

/** Newest first; a folder of one run each. */
export async function listArtifacts(root: string): Promise<RunArtifacts[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(root, name));
  const runs = await Promise.all(folders.map(measure));
  return runs.sort((a, b) => b.writtenAt - a.writtenAt);
}

/** Files may go while they are looked at: another rig's run ends. */
async function measure(folder: string): Promise<RunArtifacts> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  const [own, ...inside] = await Promise.all(
    ['', ...entries].map((name) => lstat(path.join(folder, name)).catch(() => undefined)),
  );
  const found = [own, ...inside].flatMap((stats) => stats ?? []);
  return {
    folder,
    // A swap image is sparse: what it takes is what counts.
    bytes: found.reduce((sum, { blocks }) => sum + 512 * blocks, 0),
    writtenAt: found.reduce((latest, { mtimeMs }) => Math.max(latest, mtimeMs), 0),
  };
}

/** Those of `runs`, newest first, that are beyond the limits. */
export function superfluous(runs: readonly RunArtifacts[], limits: ArtifactLimits, now: number): RunArtifacts[] {
  let kept = 0;
  return runs.filter(({ bytes, writtenAt }) => {
    const age = now - writtenAt;
    if (age > RECENT_MS && (age > limits.olderMs || kept + bytes > limits.aboveBytes)) return true;
    kept += bytes;
    return false;
  });
}

export async function removeArtifacts(runs: readonly RunArtifacts[]): Promise<void> {
  for (const { folder } of runs) await rm(folder, { recursive: true, force: true });
}

/** For the end of a run: where nobody has cleaned for long, how much there is, and what removes it. */
export async function artifactsHint(root: string): Promise<string | undefined> {
  const all = await listArtifacts(root);
  const old = superfluous(all, USUAL_LIMITS, Date.now());
  if (old.length === 0) return undefined;
  return `artifacts/ has what ${amount(all)} left; ./dgpu-rig clean removes ${amount(old)} of it: what is older than 30 days, and the oldest beyond 5 GiB.`;
}

/** `12 runs (3.1 GiB)`. */
export function amount(runs: readonly RunArtifacts[]): string {
  const total = runs.reduce((sum, run) => sum + run.bytes, 0);
  return `${String(runs.length)} ${runs.length === 1 ? 'run' : 'runs'} (${bytes(total)})`;
}
