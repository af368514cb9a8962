/** Builds the guest's kernel: a Linux tree, our patch series, the edgpu driver, our configuration. */

import { access, appendFile, copyFile, cp, mkdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';

import { configFragments, type Flavour, type KernelVariant } from '../../config/flavour.ts';
import { repositoryPath } from '../../config/paths.ts';
import type { Emit } from '../../util/rig-event.ts';
import { runBuildCommand } from '../tree/build-command.ts';
import { countdown } from '../tree/build-progress.ts';
import { buildEnvironment, toolchainIdentity } from '../tree/build-environment.ts';
import { obtainEntry } from '../../cache/cache-entry.ts';
import type { EntryWork } from '../../cache/cache-entry.ts';
import { contentKey } from '../../cache/content-key.ts';
import { checkConfig } from './kernel-config.ts';
import { readUserConfig } from './user-config.ts';
import { gcovProgram } from './gcov-program.ts';
import type { KernelSource } from './kernel-source.ts';
import { codeToProfile, collectCompiled, collectProfiled, profilingLine, type ProfiledCode } from './profiled-code.ts';
import { patchsetHash, readPatches, readSeries, type Patch } from '../tree/patch-series.ts';
import { graftedFiles, overlayKey, overlaySeries } from '../tree/source-overlay.ts';
import type { Graft, OverlaySpec } from '../tree/source-overlay.ts';
import { editedFileOf, editWorkTree, prepareWorkTree } from '../tree/work-tree.ts';
import type { WorkTree } from '../tree/work-tree.ts';

export const PATCH_FOLDER = repositoryPath('guest-kernel/patches');

export const DRIVER_GRAFT: Graft = {
  folder: repositoryPath('guest-kernel/edgpu'),
  to: 'drivers/gpu/drm/edgpu',
  alsoCopy: [repositoryPath('rig/edgpu/edgpu_regs.h')],
};

const OVERLAY: OverlaySpec = { patchFolders: [PATCH_FOLDER], graft: DRIVER_GRAFT };

/**
 * Of the kernel's own tests those of mm that the guest can run: what becomes an executable of the guest, and its
 * sources.
 */
const SELFTESTS: Readonly<Record<string, readonly string[]>> = {
  'hmm-tests': ['hmm-tests.c', 'vm_util.c', 'hugepage_settings.c'],
};

/** What a program needs to talk to a DRM driver; the host's may be older. */
const ABI_HEADERS = ['drm/drm.h', 'drm/drm_mode.h', 'drm/qxl_drm.h', 'linux/bits.h'].map(
  (header) => `include/uapi/${header}`,
);

/** The same sources give the same bytes, whoever builds them, wherever and whenever. */
const MAKE_ENVIRONMENT = {
  KBUILD_BUILD_TIMESTAMP: '1970-01-01',
  KBUILD_BUILD_USER: 'dgpu-rig',
  KBUILD_BUILD_HOST: 'dgpu-rig',
  KBUILD_BUILD_VERSION: '1',
  LOCALVERSION: '',
};

/** What the counters of a kernel are read with. */
export interface Profiled {
  /** What `collectProfiled` wrote. */
  readonly folder: string;
  /** The program. */
  readonly gcov: string;
}

export interface KernelBuild {
  /** The cache entry, with the headers of the DRM ABI in include/uapi; its name changes with its content. */
  readonly folder: string;
  readonly image: string;
  readonly vmlinux: string;
  readonly config: string;
  /** A folder with lib/modules/RELEASE in it. */
  readonly modules: string;
  /** Executables for the guest; some may be missing from a tree of the user's. */
  readonly selftests: string;
  /** As `uname -r` says it. */
  readonly release: string;
  /** Which sources these are. */
  readonly version: string;
  readonly flavour: Flavour;
  /** It has neither the series nor the driver. */
  readonly unpatched: boolean;
  readonly variant: KernelVariant;
  /** What was applied to the sources; nothing where the series is in them already. */
  readonly patches: readonly string[];
  /** See `patchsetHash`. */
  readonly patchset: string;
  /** Of a tree of the user's in which all is committed. */
  readonly commit?: string;
  /** The modules with their debug information; only of a kernel that was built with it. */
  readonly debugModules?: string;
  /** The script with the kernel's own commands for gdb (lx-…); only with debug information. */
  readonly gdbScript?: string;
  /** Only of the flavour gcov. */
  readonly profiled?: Profiled;
  /** Only of the variant `mutants`: what `collectCompiled` wrote of all that the series and the driver have changed. */
  readonly mutable?: string;
}

export interface KernelRequest {
  readonly source: KernelSource;
  readonly flavour: Flavour;
  readonly variant?: KernelVariant;
}

export async function buildKernel(
  { source, flavour, variant = {} }: KernelRequest,
  emit: Emit,
  signal: AbortSignal,
): Promise<KernelBuild> {
  const { unpatched = false, debugInfo = false, patches = [], mutants = false } = variant;
  const config = await wantedConfig(flavour, variant);
  const overlay = await overlayFor({ source, flavour, variant });
  const toolchain = await toolchainIdentity();
  const key = contentKey({
    source: source.identity,
    overlay: await overlayKey(overlay),
    fragment: config.own === '' ? config.fragment : [config.fragment, config.own],
    toolchain,
    environment: JSON.stringify(MAKE_ENVIRONMENT),
    selftests: JSON.stringify(SELFTESTS),
    headers: JSON.stringify(ABI_HEADERS),
    ...(mutants ? { mutable: 'sources, modules' } : {}),
  });
  // Missed now rather than when all has run.
  const gcov = flavour === 'gcov' ? await gcovProgram() : undefined;
  const build = async (work: EntryWork): Promise<void> => {
    const tree = await prepareKernelTree(source, { kind: treeKind(flavour, variant), overlay }, work);
    await configureKernel(tree, { ...config, title: titleOf(source) }, work);
    await compileKernel(tree, work);
    await collectKernel(tree, work);
    if (debugInfo) await collectDebugInfo(tree, work);
    if (flavour === 'gcov') await collectProfiled(tree.source, await profiledCode(), path.join(work.folder, PROFILED));
    if (mutants) await collectMutable(tree.source, await readPatches(patches), path.join(work.folder, MUTABLE));
    await compileSelftests(tree, work);
  };
  const title = buildTitle(flavour, variant, config.own);
  const folder = await obtainEntry({ stage: 'kernel', title, key, build }, emit, signal);
  const applied = [...(await overlaySeries(overlay)), ...(await readPatches(patches))];
  return {
    folder,
    image: path.join(folder, 'bzImage'),
    vmlinux: path.join(folder, 'vmlinux'),
    config: path.join(folder, 'config'),
    modules: path.join(folder, 'modules'),
    selftests: path.join(folder, 'selftests'),
    release: (await readFile(path.join(folder, 'release'), 'utf8')).trim(),
    version: source.version,
    flavour,
    unpatched,
    variant,
    patches: applied.map(({ name }) => path.basename(name)),
    patchset: patchsetHash(applied),
    ...(source.commit === undefined ? {} : { commit: source.commit }),
    ...(debugInfo
      ? { debugModules: path.join(folder, DEBUG_MODULES), gdbScript: path.join(folder, 'vmlinux-gdb.py') }
      : {}),
    ...(gcov === undefined ? {} : { profiled: { folder: path.join(folder, PROFILED), gcov } }),
    ...(mutants ? { mutable: path.join(folder, MUTABLE) } : {}),
  };
}

function buildTitle(
  flavour: Flavour,
  { unpatched = false, debugInfo = false, patches = [], mutants = false }: KernelVariant,
  ownConfig: string,
): string {
  const traits = [
    ...(flavour === 'plain' ? [] : [flavour]),
    ...(mutants ? ['for mutants'] : []),
    ...(debugInfo ? ['debug information'] : []),
    ...(ownConfig === '' ? [] : ['options of your own']),
    ...(patches.length === 0 ? [] : [mutants ? 'patched' : 'patches of your own']),
  ];
  return `Build Linux with${unpatched ? 'out' : ''} the series${traits.length === 0 ? '' : ` (${traits.join(', ')})`}`;
}

/** What goes into the sources: all of it, but where they have it already or nobody wants it. */
async function overlayFor({ source, flavour, variant = {} }: KernelRequest): Promise<OverlaySpec> {
  const { unpatched = false, patches = [] } = variant;
  return {
    ...(unpatched || source.complete ? {} : OVERLAY),
    ...(patches.length === 0 ? {} : { onTop: patches }),
    ...(flavour === 'gcov' ? { lines: [profilingLine(await profiledCode())] } : {}),
  };
}

async function profiledCode(): Promise<ProfiledCode> {
  return codeToProfile(await readSeries(PATCH_FOLDER), DRIVER_GRAFT.to);
}

function treeKind(flavour: Flavour, { unpatched = false, debugInfo = false }: KernelVariant): LinuxTreeKind {
  return `linux-${flavour}${unpatched ? '-unpatched' : ''}${debugInfo ? '-debug' : ''}`;
}

export function titleOf({ version }: KernelSource): string {
  return `Linux ${version}`;
}

type LinuxTreeKind = `linux-${Flavour}${'' | '-unpatched'}${'' | '-debug'}`;

interface TreeUse {
  /** Builds with very different configurations had better not take turns in one tree. */
  readonly kind: 'series' | LinuxTreeKind;
  readonly overlay: OverlaySpec;
  /** All that changed since the last use, if that is known: what becomes of which path of the tree. */
  readonly edited?: ReadonlyMap<string, string>;
}

/** The tree that all builds of a kind and of these sources share; the caller holds a lock for the kind. */
export async function prepareKernelTree(
  source: KernelSource,
  { kind, overlay, edited = new Map() }: TreeUse,
  work: MakeWork,
): Promise<WorkTree> {
  const { unpack, refresh } = source.fill(work);
  const identity = contentKey({ tree: source.treeName, toolchain: await toolchainIdentity() });
  const { misfit } = source;
  const spec = {
    kind,
    identity,
    title: titleOf(source),
    misfit,
    neededGiB: 4,
    unpack,
    ...(refresh ? { refresh } : {}),
  };
  return (await editWorkTree(spec, overlay, edited)) ?? prepareWorkTree(spec, overlay);
}

/** The configuration that the rig asks for. */
export async function readFragments(flavour: Flavour, variant: KernelVariant = {}): Promise<string> {
  const files = configFragments(flavour, variant).map((name) => repositoryPath('guest-kernel/config', name));
  return (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n');
}

async function wantedConfig(
  flavour: Flavour,
  variant: KernelVariant,
): Promise<Required<Omit<Configuration, 'title' | 'optional'>>> {
  return { fragment: await readFragments(flavour, variant), own: await readUserConfig(variant.kconfig ?? []) };
}

/** One of the rig's own, or one that a person works in. */
type BuildTree = Pick<WorkTree, 'source'> & Partial<Pick<WorkTree, 'dirtyMarker' | 'origin'>>;

interface Configuration {
  /** Has to be granted. */
  readonly fragment: string;
  /** Of the user, and has to be granted, too. */
  readonly own?: string;
  /** Asked for, too, but some trees do not know it yet. */
  readonly optional?: string;
  readonly title: string;
}

/**
 * Everything is off but what the fragment asks for, what that needs, and what is on by default where that opens a
 * choice.
 */
export async function configureKernel(
  tree: BuildTree,
  { fragment, own = '', optional = '', title }: Configuration,
  work: MakeWork,
): Promise<void> {
  work.step.progress('configuring');
  const file = path.join(tree.source, '.config');
  await make(tree, work, 'Configuring the kernel', ['allnoconfig']);
  await appendFile(file, `${fragment}\n${own}\n${optional}`);
  await make(tree, work, 'Configuring the kernel', ['olddefconfig']);
  await checkConfig({ fragment, own }, await readFile(file, 'utf8'), { title, source: tree.source });
}

export async function compileKernel(tree: WorkTree, work: MakeWork): Promise<void> {
  const builtBefore = await access(path.join(tree.source, 'vmlinux')).then(
    () => true,
    () => false,
  );
  const onLine = builtBefore ? objectProgress(work) : wholeProgress(work);
  await make(tree, { ...work, onLine }, 'Building the kernel', ['bzImage', 'modules']);
}

/** Where the kernel's modules are installed, and the name of one among them; and how that kernel is configured. */
interface InstalledModule {
  readonly installed: string;
  readonly config: string;
  readonly name: string;
}

/** One module alone, of a tree that has been built; returns its path. */
export async function compileModule(
  { source, flavour, variant = {} }: KernelRequest,
  { installed, config, name }: InstalledModule,
  work: EntryWork,
): Promise<string> {
  const overlay = await overlayFor({ source, flavour, variant });
  const use = { kind: treeKind(flavour, variant), overlay } as const;
  const edited = source.complete ? new Map<string, string>() : await graftedFiles(DRIVER_GRAFT);
  const tree = await prepareKernelTree(source, { ...use, edited }, work);
  await configureAsBuilt(tree, config, work);
  // Alone it would lack the symbols of the modules that it needs: make looks for them in what it is asked for.
  const needed = neededModules(await readFile(path.join(installed, 'modules.dep'), 'utf8'), name);
  await make(
    tree,
    work,
    'Building the module',
    [name, ...needed].map((module) => module.replace(/^kernel\//, '')),
  );
  return path.join(tree.source, name.replace(/^kernel\//, ''));
}

/** A build with other options of the user's may have had the tree since. */
async function configureAsBuilt(tree: WorkTree, config: string, work: EntryWork): Promise<void> {
  const file = path.join(tree.source, '.config');
  if ((await readFile(file, 'utf8').catch(() => '')) === (await readFile(config, 'utf8'))) return;
  await copyFile(config, file);
  await make(tree, work, 'Configuring the kernel', ['olddefconfig']);
}

/** By modules.dep, as depmod writes it: "a.ko: b.ko c.ko". */
export function neededModules(dependencies: string, name: string): string[] {
  const line = dependencies.split('\n').find((candidate) => candidate.startsWith(`${name}:`)) ?? '';
  return line
    .slice(name.length + 1)
    .split(' ')
    .filter((module) => module !== '');
}

/**
 * What the compiler says about these sources when it is asked to say more (`W=1`), line by line, and sparse, where
 * there is one that the tree accepts; without objects nothing.
 */
export async function compileVerbosely(tree: BuildTree, sources: readonly string[], work: MakeWork): Promise<string[]> {
  const lines: string[] = [];
  const options = ['W=1', ...((await sparseFault(tree.source)) === undefined ? ['C=2'] : [])];
  const objects = sources.map((file) => file.replace(/\.c$/, '.o'));
  if (objects.length > 0) {
    await make(tree, { ...work, onLine: (line) => lines.push(line) }, `Compiling with ${options.join(' ')}`, [
      ...options,
      ...objects,
    ]);
  }
  return lines;
}

/** All in these folders that the configuration asks for, and what the compiler says with `W=1`, line by line. */
export async function compileFolders(tree: BuildTree, folders: readonly string[], work: MakeWork): Promise<string[]> {
  const lines: string[] = [];
  const progress = objectProgress(work);
  const onLine = (line: string): void => {
    lines.push(line);
    progress(line);
  };
  await make(tree, { ...work, onLine }, 'Compiling with W=1', ['W=1', ...folders]);
  return lines;
}

const CHECKER = { env: buildEnvironment(), extendEnv: false, reject: false } as const;

/** Undefined if there is none. */
export async function sparseVersion(): Promise<string | undefined> {
  const { failed, stdout } = await execa('sparse', ['--version'], CHECKER);
  return failed ? undefined : stdout;
}

/** Why sparse can't check this tree; undefined where it can. The kernel itself knows which versions are of use. */
export async function sparseFault(tree: string): Promise<string | undefined> {
  if ((await sparseVersion()) === undefined) return 'there is no sparse on this machine';
  const valid = await execa('sh', [path.join(tree, 'scripts/checker-valid.sh'), 'sparse'], CHECKER);
  if (!valid.failed && valid.stdout.trim() === '1') return undefined;
  return 'the sparse of this machine does not know all that this kernel is written in (0.6.4 does not, 0.6.5 does)';
}

export interface MakeWork extends Pick<EntryWork, 'log' | 'signal' | 'step'> {
  readonly onLine?: (line: string) => void;
}

async function make(
  tree: BuildTree,
  { log, signal, onLine = () => undefined }: MakeWork,
  what: string,
  args: readonly string[],
): Promise<void> {
  await runBuildCommand({
    what,
    argv: ['make', `-j${availableParallelism()}`, ...args],
    cwd: tree.source,
    env: MAKE_ENVIRONMENT,
    editedFile: editedFileOf(tree, tree.source, await graftedFiles(DRIVER_GRAFT)),
    ...(tree.dirtyMarker === undefined ? {} : { dirtyMarker: tree.dirtyMarker }),
    log,
    signal,
    onLine,
  });
}

/** What make says of each object; it finds out as it goes how many there will be. */
const OBJECT_LINE = /^ {2}(?:CC|AS|LD|AR)(?: \[M\])? +(\S+)/;

function objectProgress({ step }: MakeWork): (line: string) => void {
  let count = 0;
  return (line) => {
    const [, object] = OBJECT_LINE.exec(line) ?? [];
    if (object === undefined) return;
    count += 1;
    step.progress(`${count} objects, ${object}`);
  };
}

/**
 * Counted in the plain flavour of 7.3.4, modules and archives included; other flavours and trees differ by a few in a
 * hundred.
 */
const OBJECTS_OF_ALL = 2405;

function wholeProgress({ step }: MakeWork): (line: string) => void {
  let count = 0;
  const tell = countdown(step);
  return (line) => {
    if (OBJECT_LINE.test(line)) tell((count += 1), OBJECTS_OF_ALL);
  };
}

async function collectKernel(tree: WorkTree, work: EntryWork): Promise<void> {
  const { folder } = work;
  const outputs = {
    bzImage: 'arch/x86/boot/bzImage',
    vmlinux: 'vmlinux',
    config: '.config',
    release: 'include/config/kernel.release',
    ...Object.fromEntries(ABI_HEADERS.map((header) => [header, header])),
  };
  for (const [name, file] of Object.entries(outputs)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await copyFile(path.join(tree.source, file), path.join(folder, name));
  }
  await installModules(tree, path.join(folder, 'modules'), ['INSTALL_MOD_STRIP=1'], work);
}

async function installModules(
  tree: WorkTree,
  modules: string,
  variables: readonly string[],
  work: EntryWork,
): Promise<void> {
  await mkdir(modules);
  const argv = ['modules_install', `INSTALL_MOD_PATH=${modules}`, ...variables];
  await make(tree, work, 'Installing the modules', argv);
  // A link into the work tree, which other builds will change.
  const release = (await readFile(path.join(work.folder, 'release'), 'utf8')).trim();
  await rm(path.join(modules, 'lib/modules', release, 'build'), { force: true });
}

const DEBUG_MODULES = 'modules-debug';
const PROFILED = 'profiled';
const MUTABLE = 'mutable';

async function collectMutable(tree: string, own: readonly Patch[], to: string): Promise<void> {
  await collectCompiled(tree, codeToProfile([...(await readSeries(PATCH_FOLDER)), ...own], DRIVER_GRAFT.to), to);
}

/** vmlinux has its debug information in any case where there is some; gdb looks for its script beside it. */
async function collectDebugInfo(tree: WorkTree, work: EntryWork): Promise<void> {
  const { folder } = work;
  await installModules(tree, path.join(folder, DEBUG_MODULES), [], work);
  await make(tree, work, "Generating the kernel's commands for gdb", ['scripts_gdb']);
  const scripts = 'scripts/gdb';
  await cp(path.join(tree.source, scripts), path.join(folder, scripts), { recursive: true, dereference: true });
  await copyFile(path.join(tree.source, scripts, 'vmlinux-gdb.py'), path.join(folder, 'vmlinux-gdb.py'));
}

/** What the headers of a kernel, and programs that are made with them, depend on. */
export async function headersKey(request: KernelRequest): Promise<Readonly<Record<string, string>>> {
  const overlay = await overlayKey(await overlayFor(request));
  return { source: request.source.identity, overlay, toolchain: await toolchainIdentity() };
}

/** The tree of this kernel with the headers for programs in usr/include; the caller holds the lock `kernel`. */
export async function prepareHeaders(
  request: KernelRequest,
  work: EntryWork,
  check: (source: string) => Promise<void>,
): Promise<WorkTree> {
  const use = { kind: treeKind(request.flavour, request.variant ?? {}), overlay: await overlayFor(request) };
  const tree = await prepareKernelTree(request.source, use, work);
  await check(tree.source);
  await make(tree, work, 'Installing the headers', ['headers']);
  return tree;
}

/** Static, since the guest's libraries are not the compiler's; with the headers of this very kernel. */
async function compileSelftests(tree: WorkTree, work: EntryWork): Promise<void> {
  const { log, signal, step } = work;
  step.progress('compiling self-tests');
  await make(tree, work, 'Installing the headers', ['headers']);
  const tests = path.join(tree.source, 'tools/testing/selftests');
  const include = [`-isystem${path.join(tree.source, 'usr/include')}`, `-I${tests}`, `-I${tree.source}`];
  await mkdir(path.join(work.folder, 'selftests'));
  for (const [name, sources] of Object.entries(SELFTESTS)) {
    const output = path.join(work.folder, 'selftests', name);
    const argv = [
      'gcc',
      '-O2',
      '-w',
      '-static',
      '-D_GNU_SOURCE=',
      ...include,
      '-o',
      output,
      ...sources,
      '-lpthread',
    ] as const;
    await runBuildCommand({ what: `Building ${name}`, argv, cwd: path.join(tests, 'mm'), log, signal });
  }
}
