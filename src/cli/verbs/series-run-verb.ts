/**
 * `dgpu-rig kernel check --run SUITE`: boots the kernel with one patch of the series, with two, and so on, and runs
 * suites on each, up to the first that fails. A run is a rig of its own, and recorded as any other.
 */
import path from 'node:path';
import { z } from 'zod';
import { fetchDebianPackages } from '../../builds/debian/debian-packages.ts';
import { prepareHost } from '../../builds/debian/host.ts';
import { PATCH_FOLDER } from '../../builds/kernel/kernel-build.ts';
import { openKernelSource } from '../../builds/kernel/kernel-source.ts';
import { readSeries, type Patch } from '../../builds/tree/patch-series.ts';
import { contentKey, folderKey } from '../../cache/content-key.ts';
import { repositoryPath } from '../../config/paths.ts';
import { remembered } from '../../cache/remembered.ts';
import { suiteFiles, WITHOUT_DRIVER } from '../../plan/suite-files.ts';
import { summaryLine } from '../../report/text/summary-line.ts';
import { RigError } from '../../util/rig-error.ts';
import { judgeExit } from '../bisect/bisect-judgement.ts';
import { runRig } from '../rig-process.ts';
import type { Session } from '../session.ts';

export interface SeriesRun {
  readonly suites: readonly string[];
  readonly series: readonly Patch[];
  /** Changes with all that the verdicts depend on besides. */
  readonly basis: string;
  readonly kernelSrc: string | undefined;
  /** Runs a rig with these arguments; its exit code. */
  readonly run: (argv: readonly string[]) => Promise<number>;
  readonly print: (text: string) => void;
}

/**
 * The exit code of the first run that does not pass, or 0. A good commit is remembered, and not run again. Our driver
 * can't be built for a part of the series.
 */
export async function runSeries({ suites, series, basis, kernelSrc, run, print }: SeriesRun): Promise<number> {
  const source = kernelSrc === undefined ? [] : ['--kernel-src', kernelSrc];
  const anywhere = suites.filter((suite) => WITHOUT_DRIVER.includes(suite));
  const parts = [...(anywhere.length > 0 ? anywhere : ['--exec', 'true']), '--unpatched'];
  for (const [index, { name }] of series.entries()) {
    const patches = series.slice(0, index + 1);
    const whole = patches.length === series.length;
    const what = whole ? suites : [...parts, ...patches.flatMap(({ file }) => ['--patch', file])];
    const depends = { basis, what: whole ? suites : parts, source, patches: patches.map(({ text }) => text) };
    const { cached, value: exitCode } = await remembered(
      { parts: depends, schema: z.number(), keep: (code) => judgeExit(code) === 'good' },
      async () => run(['run', ...what, ...source]),
    );
    const judgement = judgeExit(exitCode);
    if (judgement === 'good') {
      print(`${cached ? '=' : '✔'} ${name}`);
      continue;
    }
    const bad = judgement === 'bad';
    print(
      bad
        ? `✘ ${name} (exit code ${String(exitCode)})`
        : `- ${name} could not be judged (exit code ${String(exitCode)}). The same command goes on from here.`,
    );
    if (bad) print(`First bad commit: ${name}. It and those after it are not known to be good.`);
    print(summaryLine(index, bad ? 1 : 0));
    return exitCode;
  }
  print(summaryLine(series.length, 0));
  return 0;
}

interface SeriesRunOptions {
  readonly run: readonly string[];
  readonly kernelSrc?: string;
  readonly drivers?: boolean;
}

export async function seriesRunVerb(
  { run: suites, kernelSrc, drivers = false }: SeriesRunOptions,
  { progress, signal }: Session,
): Promise<number> {
  if (drivers) throw new RigError('usage', '--drivers compiles, and --run runs instead: give one of them.');
  await suiteFiles(suites);
  await prepareHost(progress.emit, signal);
  const source = await openKernelSource(kernelSrc, await fetchDebianPackages(progress.emit, signal));
  const run = (argv: readonly string[]): Promise<number> => {
    progress.stop();
    return runRig(argv, signal);
  };
  const folders = ['src/suites', 'src/testbed', 'src/vm', 'images', 'rig', 'guest-kernel/config', 'guest-kernel/edgpu'];
  const basis = contentKey({
    source: source.identity,
    folders: await Promise.all(folders.map((folder) => folderKey(repositoryPath(folder)))),
  });
  const tree = kernelSrc === undefined ? undefined : path.resolve(kernelSrc);
  const series = await readSeries(PATCH_FOLDER);
  return runSeries({ suites, series, basis, kernelSrc: tree, run, print: (text) => progress.print(text) });
}
