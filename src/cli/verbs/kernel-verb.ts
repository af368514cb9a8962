/**
 * `dgpu-rig kernel`: lay the series out for work, write it back, and check that every patch is one that could be sent.
 */
import path from 'node:path';
import { editKernel } from '../../series/editable-kernel.ts';
import { PATCH_FOLDER } from '../../builds/kernel/kernel-build.ts';
import { tryBases } from '../../series/other-bases.ts';
import { refreshSeries } from '../../series/series-refresh.ts';
import { isGood, type PatchVerdict } from '../../series/patch-verdict.ts';
import { checkSeries } from '../../series/series-check.ts';
import { summaryLine } from '../../report/text/summary-line.ts';
import { EXIT_CODES } from '../../util/rig-error.ts';
import type { Session } from '../session.ts';

export async function kernelEditVerb(
  dir: string,
  { kernelSrc }: { kernelSrc?: string },
  { progress, signal }: Session,
): Promise<number> {
  const folder = path.resolve(dir);
  const source = kernelSrc === undefined ? {} : { kernelSource: kernelSrc };
  await editKernel({ ...source, folder, emit: progress.emit, signal });
  progress.print(`${folder}: branch "rig" has the series; configured for "make -j bzImage modules".
Commit there, then: ./dgpu-rig kernel refresh ${dir}`);
  return 0;
}

export async function kernelRefreshVerb(dir: string, { progress }: Session): Promise<number> {
  const { written, removed, unchanged } = await refreshSeries(path.resolve(dir), PATCH_FOLDER);
  for (const name of written) progress.print(`written  ${name}`);
  for (const name of removed) progress.print(`removed  ${name}`);
  progress.print(`${written.length} written, ${removed.length} removed, ${unchanged.length} unchanged.`);
  return 0;
}

export async function kernelCheckVerb(
  { kernelSrc, drivers = false }: { kernelSrc?: string; drivers?: boolean },
  { progress, signal }: Session,
): Promise<number> {
  const source = kernelSrc === undefined ? {} : { kernelSource: kernelSrc };
  const onVerdict = (verdict: PatchVerdict): void => {
    if (isGood(verdict)) return;
    const { patch, complaints, buildFailure } = verdict;
    const reasons = [...complaints, ...(buildFailure === undefined ? [] : [buildFailure])];
    progress.print([`✘ ${patch}`, ...reasons.map((reason) => `    ${reason}`)].join('\n'));
  };
  const verdicts = await checkSeries({ ...source, drivers, onVerdict, emit: progress.emit, signal });
  const bad = verdicts.filter((verdict) => !isGood(verdict));
  progress.print(summaryLine(verdicts.length - bad.length, bad.length));
  return bad.length === 0 ? 0 : EXIT_CODES.test;
}

/** Says it of each; that a kernel is too old for the series is no failure. */
export async function kernelBasesVerb({ progress, signal }: Session): Promise<number> {
  for await (const { base, applied, misfits } of tryBases(progress.emit, signal)) {
    const which = applied.map((name) => name.slice(0, 4)).join(' ');
    const all = misfits.length === 0 ? 'all patches apply' : `these patches apply: ${which || 'none'}`;
    progress.print([`${base}: ${all}.`, ...misfits].join('\n'));
  }
  return 0;
}
