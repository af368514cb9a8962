/** How far the series applies to other kernels that Debian packages, patch by patch. Nothing of them is built. */
import path from 'node:path';
import { rm } from 'node:fs/promises';

import { cacheDirectory } from '../config/paths.ts';
import { runStep } from '../util/step.ts';
import { temporaryFolder } from '../util/temporary-folder.ts';
import type { Emit } from '../util/rig-event.ts';
import { RigError } from '../util/rig-error.ts';
import { obtainPackages, type DebianPackage } from '../builds/debian/debian-packages.ts';
import { loadPackageSources, wantedBinaries } from '../builds/debian/package-sources.ts';
import { unpackCommand } from '../builds/kernel/kernel-source.ts';
import { PATCH_FOLDER } from '../builds/kernel/kernel-build.ts';
import { prepareHost } from '../builds/debian/host.ts';
import { runBuildCommand } from '../builds/tree/build-command.ts';
import { applyPatch, readSeries, touchedFiles, type Patch } from '../builds/tree/patch-series.ts';

interface BaseVerdict {
  /** Debian's package, and its version. */
  readonly base: string;
  readonly applied: readonly string[];
  /** Patch, file and hunk: of each fix that does not apply, and of the first other patch: then only fixes are tried. */
  readonly misfits: readonly string[];
}

/** A fix of upstream stands alone: it needs no other patch, and none needs it. guest-kernel/README.md names them. */
const FIX = /^(000\d|007[0-27]|009[05])-/;

/** Of each base that rig/sources.yaml names, as soon as it is known. */
export async function* tryBases(emit: Emit, signal: AbortSignal): AsyncGenerator<BaseVerdict> {
  await prepareHost(emit, signal);
  const { bases } = await loadPackageSources();
  const series = await readSeries(PATCH_FOLDER);
  for (const [name, suite] of Object.entries(bases)) {
    const [found] = await obtainPackages(`Fetch ${name} from Debian`, wantedBinaries({ [name]: suite }), emit, signal);
    // As many come back as are wanted.
    if (found === undefined) throw new Error(`there is no ${name}`);
    yield await tryBase({ title: `${name} ${found.version}`, found, series }, emit, signal);
  }
}

interface Base {
  readonly title: string;
  readonly found: Pick<DebianPackage, 'file'>;
  readonly series: readonly Patch[];
}

export async function tryBase({ title, found, series }: Base, emit: Emit, signal: AbortSignal): Promise<BaseVerdict> {
  return runStep(emit, { id: `base-${title}`, title: `Apply the series to ${title}`, signal }, async (step) => {
    const folder = await temporaryFolder('base');
    try {
      step.progress('unpacking');
      const argv = unpackCommand(found.file, [...new Set(series.flatMap(touchedFiles))]);
      const log = path.join(cacheDirectory(), 'logs/bases.log');
      await runBuildCommand({ what: `Unpacking ${title}`, argv, cwd: folder, log, signal });
      return { outcome: 'done', value: { base: title, ...(await applyAll(series, folder, title)) } };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

async function applyAll(series: readonly Patch[], folder: string, title: string): Promise<Omit<BaseVerdict, 'base'>> {
  const applied: string[] = [];
  const misfits: string[] = [];
  let fixesOnly = false;
  for (const patch of series) {
    const isFix = FIX.test(patch.name);
    if (fixesOnly && !isFix) continue;
    try {
      await applyPatch(patch, folder, { title, misfit: 'test' });
      applied.push(patch.name);
    } catch (error) {
      if (!(error instanceof RigError)) throw error;
      misfits.push(error.message);
      fixesOnly ||= !isFix;
    }
  }
  return { applied, misfits };
}
