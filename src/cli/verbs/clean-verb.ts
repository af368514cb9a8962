/** `dgpu-rig clean`: removes what past runs left in artifacts/. A run only says that there is much of it. */
import { artifactsFolder } from '../../config/paths.ts';
import {
  bytesOf,
  listArtifacts,
  removeArtifacts,
  superfluous,
  USUAL_LIMITS,
  type RunArtifacts,
} from '../../report/past/old-artifacts.ts';
import { bytes } from '../../report/text/quantity-text.ts';
import type { CleanOptions } from '../options/option-table.ts';

export async function cleanVerb({ older, above }: CleanOptions, root = artifactsFolder()): Promise<number> {
  // Who names one limit means that one.
  const usual = older === undefined && above === undefined;
  const limits = {
    olderMs: older ?? (usual ? USUAL_LIMITS.olderMs : Infinity),
    aboveBytes: above ?? (usual ? USUAL_LIMITS.aboveBytes : Infinity),
  };
  const all = await listArtifacts(root);
  const old = superfluous(all, limits, Date.now());
  await removeArtifacts(old);
  const left = all.filter((run) => !old.includes(run));
  const removed = old.length === 0 ? 'Nothing was removed.' : `Removed the artifacts of ${amount(old)}.`;
  process.stdout.write(`${removed} ${left.length === 0 ? 'None are left' : `Those of ${amount(left)} are left`}.\n`);
  return 0;
}

/** For the end of a run: where nobody has cleaned for long, how much there is, and what removes it. */
export async function artifactsHint(root = artifactsFolder()): Promise<string | undefined> {
  const all = await listArtifacts(root);
  const old = superfluous(all, USUAL_LIMITS, Date.now());
  if (old.length === 0) return undefined;
  return `artifacts/ has what ${amount(all)} left; ./dgpu-rig clean removes ${amount(old)} of it: what is older than 30 days, and the oldest beyond 5 GiB.`;
}

function amount(runs: readonly RunArtifacts[]): string {
  return `${String(runs.length)} ${runs.length === 1 ? 'run' : 'runs'} (${bytes(bytesOf(runs))})`;
}
