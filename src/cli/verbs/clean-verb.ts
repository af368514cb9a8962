/** `dgpu-rig clean`: removes what past runs left in artifacts/. A run only says that there is much of it. */
import { artifactsFolder } from '../../config/paths.ts';
import { amount, listArtifacts, removeArtifacts, superfluous, USUAL_LIMITS } from '../../report/past/old-artifacts.ts';
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
  process.stdout.write(
    `${removed} ${left.length === 0 ? 'None are left' : `The artifacts of ${amount(left)} are left`}.\n`,
  );
  return 0;
}
