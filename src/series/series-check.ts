/**
 * Checks that a series can be taken patch by patch: each applies, passes checkpatch, leaves a tree that builds, and
 * adds no warning. What it is compared with, as a patch on top of all of it, has to do the same; and all of it together
 * has to compile in configurations that have less.
 */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { access, readFile, rm } from 'node:fs/promises';
import { execa } from 'execa';
import { z } from 'zod';

import { cacheDirectory, repositoryPath } from '../config/paths.ts';
import { RigError } from '../util/rig-error.ts';
import type { Emit } from '../util/rig-event.ts';
import { runStep } from '../util/step.ts';
import { buildEnvironment, toolchainIdentity } from '../builds/tree/build-environment.ts';
import { withBuildLock } from '../cache/build-lock.ts';
import { contentKey, folderKey } from '../cache/content-key.ts';
import { remembered, type Question } from '../cache/remembered.ts';
import { fetchDebianPackages } from '../builds/debian/debian-packages.ts';
import { prepareHost } from '../builds/debian/host.ts';
import {
  compileFolders,
  compileKernel,
  compileVerbosely,
  configureKernel,
  DRIVER_GRAFT,
  PATCH_FOLDER,
  prepareKernelTree,
  sparseFault,
  sparseVersion,
  titleOf,
} from '../builds/kernel/kernel-build.ts';
import type { MakeWork } from '../builds/kernel/kernel-build.ts';
import { openKernelSource } from '../builds/kernel/kernel-source.ts';
import type { KernelSource } from '../builds/kernel/kernel-source.ts';
import { readSeries, touchedFiles } from '../builds/tree/patch-series.ts';
import { isGood, patchVerdict, type PatchVerdict } from './patch-verdict.ts';
import { checkReduced, REDUCED_CONFIGURATIONS } from './reduced-configurations.ts';
import { documentedNames, exportedSymbols, newWarnings, warningIn } from './source-warnings.ts';
import type { Warning } from './source-warnings.ts';
import { ttmUsers } from './ttm-users.ts';
import { graftedFiles, overlayKey, type OverlaySpec } from '../builds/tree/source-overlay.ts';
import type { Patch } from '../builds/tree/patch-series.ts';
import type { WorkTree } from '../builds/tree/work-tree.ts';

const BASE_CONFIG = repositoryPath('guest-kernel/config/base.config');

/** What was built another way, to be measured next to the series. */
const ALTERNATIVES = repositoryPath('guest-kernel/alternatives');

/** So that the tests that a patch brings are compiled with it; those of later patches are not known yet. */
const OPTIONAL_CONFIGS = ['tests.config', 'series.config'].map((name) => repositoryPath('guest-kernel/config', name));

/** Of upstream's, for the driver needs the whole series, or nothing of it. */
const SOME_TTM_DRIVER = 'CONFIG_DRM_QXL=m';

/**
 * What uses what the series changes: built after each patch, where all of the kernel would take hours over a series.
 */
const DEPENDENTS = ['mm/', 'drivers/gpu/drm/ttm/', 'drivers/gpu/drm/qxl/'];

/** All drivers that use TTM. Not in the other configurations: to build them whole takes hours. */
const DRIVERS_CONFIG = repositoryPath('guest-kernel/config/drivers.config');

interface SeriesCheckOptions {
  /** Another tree than Debian's package, as for buildRig. */
  readonly kernelSource?: string;
  /** Whether to compile what uses TTM in every driver, too: after each patch that changes a header of DRM's. */
  readonly drivers: boolean;
  /** It takes so long that whoever waits wants to know what is known. */
  readonly onVerdict?: (verdict: PatchVerdict) => void;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/**
 * One verdict for each patch, in order, one for the driver, for each alternative and for each configuration;
 * the first patch that does not build ends the check. After the last the whole kernel is built and linked, after the
 * others what the series can break. A good verdict is remembered: a check that was ended goes on where it was.
 */
export async function checkSeries({
  kernelSource,
  drivers,
  onVerdict = () => undefined,
  emit,
  signal,
}: SeriesCheckOptions): Promise<PatchVerdict[]> {
  await prepareHost(emit, signal);
  const source = await openKernelSource(kernelSource, await fetchDebianPackages(emit, signal));
  const series = await readSeries(PATCH_FOLDER);
  const alternatives = await readSeries(ALTERNATIVES);
  const all = [...series, ...alternatives];
  const basis = await basisOf(source, drivers);
  const grafted = await overlayKey({ graft: DRIVER_GRAFT });
  const known = await unpatchedWarnings({ source, patches: all, drivers, parts: { basis, grafted } }, emit, signal);
  const verdicts: PatchVerdict[] = [];
  const judge = async (what: string, { applied, grafted = '', check }: Judgement): Promise<PatchVerdict> => {
    const parts = { basis, what, known, grafted, patches: applied.map(({ text }) => text) };
    const question = { parts, schema: patchVerdict, keep: isGood };
    const verdict = await treeStep(emit, { id: `series-${what}`, title: `Check ${what}`, signal, question }, check);
    verdicts.push(verdict);
    onVerdict(verdict);
    return verdict;
  };
  const judgePatch = async (patch: Patch, before: readonly Patch[], tree: PatchedTree): Promise<PatchVerdict> => {
    const check = async (work: MakeWork): Promise<PatchVerdict> =>
      checkPatch({ patch, tree, source, drivers, known }, work);
    return judge(patch.name, { applied: [...before, patch], check });
  };
  for (const [index, patch] of series.entries()) {
    const whole = index + 1 === series.length;
    const files = whole ? series.flatMap(touchedFiles) : touchedFiles(patch);
    const overlay = { patchFolders: [PATCH_FOLDER], patchCount: index + 1 };
    const verdict = await judgePatch(patch, series.slice(0, index), { overlay, files, whole });
    if (verdict.buildFailure !== undefined) return verdicts;
  }
  await judge('the driver', { applied: series, grafted, check: (work) => checkDriver(source, work) });
  for (const patch of alternatives) {
    const overlay = { patchFolders: [PATCH_FOLDER], onTop: [patch.file] };
    await judgePatch(patch, series, { overlay, files: touchedFiles(patch), whole: false });
  }
  for (const options of REDUCED_CONFIGURATIONS) {
    const check = async (work: MakeWork): Promise<PatchVerdict> => {
      const overlay = { patchFolders: [PATCH_FOLDER], graft: DRIVER_GRAFT };
      const tree = await prepareKernelTree(source, { kind: 'series', overlay }, work);
      const files = series.flatMap(touchedFiles);
      return checkReduced(
        tree,
        { options, usual: await configuration(false), files, known, title: titleOf(source) },
        work,
      );
    };
    await judge(`the series with ${options.join(' ')}`, { applied: series, grafted, check });
  }
  return verdicts;
}

interface Judgement {
  /** All that are in the tree. */
  readonly applied: readonly Patch[];
  /** By content, if the driver is in the tree. */
  readonly grafted?: string;
  readonly check: (work: MakeWork) => Promise<PatchVerdict>;
}

/** What all verdicts depend on besides the patches. */
async function basisOf(source: KernelSource, drivers: boolean): Promise<string> {
  const folders = ['guest-kernel/config', 'src/series', 'src/builds/kernel', 'src/builds/tree'];
  const { identity } = source;
  const contents = await Promise.all(folders.map((folder) => folderKey(repositoryPath(folder))));
  const tools = [await toolchainIdentity(), (await sparseVersion()) ?? ''];
  return contentKey({ identity, contents, tools, drivers: String(drivers) });
}

interface TreeStep<T> {
  readonly id: string;
  readonly title: string;
  /** Whose answer may be known from a check before. */
  readonly question: Question<T>;
  readonly signal: AbortSignal;
}

/** A step that has the tree of the check for itself, unless its outcome is known. */
async function treeStep<T>(emit: Emit, spec: TreeStep<T>, work: (work: MakeWork) => Promise<T>): Promise<T> {
  return runStep(emit, spec, async (step) => {
    const log = path.join(cacheDirectory(), 'logs/series.log');
    const onWait = (): void => step.progress('waiting for another rig that is checking a series');
    const { cached, value } = await remembered(spec.question, async () =>
      withBuildLock({ name: 'series', signal: spec.signal, onWait }, async (signal) => work({ step, log, signal })),
    );
    return { outcome: cached ? 'cached' : 'done', value };
  });
}

/** With the series it is built for the guest; here it is only read. */
async function checkDriver(source: KernelSource, work: MakeWork): Promise<PatchVerdict> {
  const tree = await prepareKernelTree(source, { kind: 'series', overlay: { patchFolders: [PATCH_FOLDER] } }, work);
  return { patch: 'guest-kernel/edgpu', complaints: await checkDriverStyle(tree.source) };
}

interface PatchedTree {
  readonly overlay: OverlaySpec;
  /** Where warnings are looked for. */
  readonly files: readonly string[];
  /** Whether all of the kernel is to be built. */
  readonly whole: boolean;
}

interface JudgedPatch {
  readonly patch: Patch;
  readonly tree: PatchedTree;
  readonly source: KernelSource;
  readonly drivers: boolean;
  /** Warnings about files that the patches change, from before they do. */
  readonly known: readonly Warning[];
}

interface UnpatchedTree extends Pick<JudgedPatch, 'source' | 'drivers'> {
  readonly patches: readonly Patch[];
  /** All else that the answer depends on. */
  readonly parts: Readonly<Record<string, string>>;
}

/** What the compiler has to say about the files that the patches are going to change. */
async function unpatchedWarnings(
  { source, patches, drivers, parts }: UnpatchedTree,
  emit: Emit,
  signal: AbortSignal,
): Promise<Warning[]> {
  const files = patches.flatMap(touchedFiles);
  const question = { parts: { ...parts, files }, schema: z.array(z.string()) };
  const spec = { id: 'series-unpatched', title: 'Build without the series', signal, question };
  return treeStep(emit, spec, async (work) => {
    const overlay = { patchFolders: [PATCH_FOLDER], patchCount: 0, graft: DRIVER_GRAFT };
    const tree = await prepareKernelTree(source, { kind: 'series', overlay }, work);
    const fault = await sparseFault(tree.source);
    if (fault !== undefined) emit({ type: 'notice', text: `Without sparse: ${fault}.` });
    const known = await buildWithWarnings(tree, { files, drivers, title: titleOf(source) }, work);
    // The driver is no part of what is compared, and has to build without the series, too: edgpu_compat.h.
    await compileFolders(tree, [`${DRIVER_GRAFT.to}/`], work);
    return known;
  });
}

interface Compilation {
  /** Those that warnings matter in. */
  readonly files: readonly string[];
  /** Whether drivers that use TTM are compiled, too: what the files change, or all if one is a header of DRM's. */
  readonly drivers: boolean;
  readonly title: string;
}

/** Builds what depends on the series, and says what W=1 finds in those of the files that were compiled. */
async function buildWithWarnings(
  tree: WorkTree,
  { files, drivers, title }: Compilation,
  work: MakeWork,
): Promise<Warning[]> {
  await configure(tree, { drivers, title }, work);
  const inAll = files.some((file) => file.startsWith('include/drm/'));
  const users = drivers ? (await ttmUsers(tree.source)).filter((file) => inAll || files.includes(file)) : [];
  const interesting = new Set([...files, ...users]);
  const objects = [...interesting].filter((file) => file.endsWith('.c')).map((file) => objectOf(tree, file));
  // What is up to date already would not be spoken of.
  await Promise.all(objects.map((object) => rm(object, { force: true })));
  const sources = [...interesting].filter((file) => file.endsWith('.c') && existsSync(path.join(tree.source, file)));
  // Asked for by its name, an object is built even if the configuration does without it.
  const strangers = sources.filter((file) => !DEPENDENTS.some((folder) => file.startsWith(folder)));
  const lines = await compileFolders(
    tree,
    [...DEPENDENTS, ...strangers.map((file) => file.replace(/\.c$/, '.o'))],
    work,
  );
  const compiled = sources.filter((file) => existsSync(objectOf(tree, file)));
  lines.push(...(await compileVerbosely(tree, compiled, work)));
  return [...new Set(lines)].flatMap((line) => warningIn(line, interesting) ?? []);
}

async function configure(
  tree: WorkTree,
  { drivers, title }: Pick<Compilation, 'drivers' | 'title'>,
  work: MakeWork,
): Promise<void> {
  await configureKernel(tree, { ...(await configuration(drivers)), title }, work);
}

async function configuration(drivers: boolean): Promise<{ fragment: string; optional: string }> {
  const read = async (file: string): Promise<string> => readFile(file, 'utf8');
  const base = await Promise.all([BASE_CONFIG, ...(drivers ? [DRIVERS_CONFIG] : [])].map(read));
  const fragment = [...base, SOME_TTM_DRIVER].join('\n');
  return { fragment, optional: (await Promise.all(OPTIONAL_CONFIGS.map(read))).join('\n') };
}

function objectOf(tree: WorkTree, file: string): string {
  return path.join(tree.source, file.replace(/\.c$/, '.o'));
}

async function checkPatch(
  { patch, tree: { overlay, files, whole }, source, drivers, known }: JudgedPatch,
  work: MakeWork,
): Promise<PatchVerdict> {
  await rm(work.log, { force: true });
  const tree = await prepareKernelTree(source, { kind: 'series', overlay }, work);
  const complaints = [
    ...(await checkPatchStyle(tree.source, patch)),
    ...(await undocumentedExports(tree.source, patch)),
  ];
  const title = titleOf(source);
  try {
    const warnings = newWarnings(await buildWithWarnings(tree, { files, drivers, title }, work), known);
    if (whole && drivers) await configure(tree, { drivers: false, title }, work);
    if (whole) await compileKernel(tree, work);
    return { patch: patch.name, complaints: [...complaints, ...warnings] };
  } catch (error) {
    work.signal.throwIfAborted();
    if (!(error instanceof RigError)) throw error;
    return { patch: patch.name, complaints, buildFailure: error.message };
  }
}

/** Whoever can call a function has to find out what it does. */
async function undocumentedExports(tree: string, patch: Patch): Promise<string[]> {
  const symbols = exportedSymbols(patch.text);
  if (symbols.length === 0) return [];
  const sources = touchedFiles(patch).filter((file) => file.endsWith('.c'));
  const texts = await Promise.all(sources.map(async (file) => readFile(path.join(tree, file), 'utf8').catch(() => '')));
  const documented = new Set(texts.flatMap((text) => [...documentedNames(text)]));
  return symbols.filter((name) => !documented.has(name)).map((name) => `${name}() is exported and has no kernel-doc`);
}

/**
 * The driver is no patch, and has to be as clean; the register header it shares with the device is QEMU's, and a table.
 */
async function checkDriverStyle(tree: string): Promise<string[]> {
  const { folder } = DRIVER_GRAFT;
  const own = [...(await graftedFiles(DRIVER_GRAFT)).values()].filter((file) => file.startsWith(`${folder}/`));
  const complaints = await runCheckpatch(tree, ['--file', ...own.filter((file) => /\.[ch]$/.test(file))]);
  return complaints.map((line) => line.replaceAll(`${folder}/`, ''));
}

async function checkPatchStyle(tree: string, patch: Patch): Promise<string[]> {
  const complaints = await runCheckpatch(tree, [patch.file]);
  return complaints.map((line) => line.replace(`${patch.file}:`, ''));
}

/** One complaint to a line, as `file:line: TYPE: text`. */
async function runCheckpatch(tree: string, what: readonly string[]): Promise<string[]> {
  const script = path.join(tree, 'scripts/checkpatch.pl');
  const exists = await access(script).then(
    () => true,
    () => false,
  );
  if (!exists) return [];
  // Whoever sends the series signs it off. And checkpatch asks for MAINTAINERS at every new file, even where an entry
  // for the folder covers it. The tree is no clone, so that it has none of the commits that patches name.
  const ignored = ['FILE_PATH_CHANGES', 'UNKNOWN_COMMIT_ID'].join();
  const options = ['--strict', '--terse', '--color=never', '--no-signoff', '--ignore', ignored];
  const result = await execa(script, [...options, ...what], {
    cwd: tree,
    env: buildEnvironment(),
    extendEnv: false,
    reject: false,
  });
  // When content it says nothing; complaints end with a sum. Anything else is a failure of its own.
  if (result.exitCode !== 0 && !/^total: \d+ errors/m.test(result.stdout)) {
    throw new RigError(
      'infrastructure',
      `checkpatch.pl does not run on ${what.join(' ')}: ${result.stderr || result.stdout}`,
      {
        remedy: `Run it by hand: cd ${tree} && ${script} --strict ${what.join(' ')}`,
      },
    );
  }
  return result.stdout.split('\n').filter((line) => /: (ERROR|WARNING|CHECK): /.test(line));
}
