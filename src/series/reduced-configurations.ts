/**
 * Configurations in which code that the series has or calls is not there: all of the series has to compile in each. It
 * is not linked, so that what is declared and has no definition goes unseen.
 */

import { compileFolders, configureKernel, DRIVER_GRAFT, type MakeWork } from '../builds/kernel/kernel-build.ts';
import type { WorkTree } from '../builds/tree/work-tree.ts';
import { RigError } from '../util/rig-error.ts';
import type { PatchVerdict } from './patch-verdict.ts';
import { newWarnings, warningIn, type Warning } from './source-warnings.ts';

/** Each takes a minute or two; so those that have nothing to do with one another share one. */
export const REDUCED_CONFIGURATIONS: readonly (readonly string[])[] = [
  ['CONFIG_SWAP=n', 'CONFIG_HIBERNATION=n'],
  // TTM selects shmem.
  ['CONFIG_SHMEM=n', 'CONFIG_TMPFS=n', 'CONFIG_DRM_QXL=n', 'CONFIG_DRM_EDGPU=n', 'CONFIG_DRM_TTM_KUNIT_TEST=n'],
  ['CONFIG_MEMCG=n', 'CONFIG_VM_EVENT_COUNTERS=n', 'CONFIG_KUNIT=n', 'CONFIG_MODULE_UNLOAD=n'],
  [
    'CONFIG_SMP=n',
    'CONFIG_NUMA=n',
    'CONFIG_IOMMU_SUPPORT=n',
    'CONFIG_IOMMU_DMA=n',
    'CONFIG_MIGRATION=n',
    'CONFIG_COMPACTION=n',
    'CONFIG_TRANSPARENT_HUGEPAGE=n',
    'CONFIG_CMA=n',
    'CONFIG_CONTIG_ALLOC=n',
    'CONFIG_MEMORY_HOTREMOVE=n',
    'CONFIG_MEMORY_FAILURE=n',
  ],
];

/** Most of what the series touches, where it uses what can be off; all of DRM takes five minutes for each. */
const TARGETS = [
  'mm/',
  'kernel/cgroup/',
  'drivers/gpu/drm/drm_gem.o',
  'drivers/gpu/drm/drm_gem_shmem_helper.o',
  'drivers/gpu/drm/ttm/',
  `${DRIVER_GRAFT.to}/`,
];

/** What W=1 says of comments is the same in each, and takes half of the time. */
const WITHOUT_KERNEL_DOC = 'PYTHON3=:';

interface ReducedBuild {
  /** What is off. */
  readonly options: readonly string[];
  /** What is on otherwise; as far as it can be, without the options. */
  readonly usual: { readonly fragment: string; readonly optional: string };
  /** Those that warnings matter in. */
  readonly files: readonly string[];
  /** From before the series. */
  readonly known: readonly Warning[];
  readonly title: string;
}

export async function checkReduced(
  tree: WorkTree,
  { options, usual, files, known, title }: ReducedBuild,
  work: MakeWork,
): Promise<PatchVerdict> {
  const patch = `the series with ${options.join(' ')}`;
  const fragment = options.join('\n');
  try {
    // The last word counts, and only the options have to be granted: others depend on what they switch off.
    const optional = [usual.fragment, usual.optional, fragment].join('\n');
    await configureKernel(tree, { fragment, optional, title }, work);
    const lines = await compileFolders(tree, [WITHOUT_KERNEL_DOC, ...TARGETS], work);
    const interesting = new Set(files);
    const warnings = [...new Set(lines)].flatMap((line) => warningIn(line, interesting) ?? []);
    return { patch, complaints: newWarnings(warnings, known) };
  } catch (error) {
    work.signal.throwIfAborted();
    if (!(error instanceof RigError)) throw error;
    return { patch, complaints: [], buildFailure: error.message };
  }
}
