/**
 * The kinds of tests there are, as vitest projects: the rig's own (unit, device, vm, reliability, slurm), and the
 * suites.
 */
import path from 'node:path';
import type { TestProjectInlineConfiguration } from 'vitest/config';
import { slowdownOf, type Flavour } from '../config/flavour.ts';
import { repositoryPath } from '../config/paths.ts';
import { defaultMaxVms } from './rig-context.ts';

export const PROJECT_NAMES = ['unit', 'device', 'vm', 'reliability', 'slurm', 'kvm', 'suites'] as const;
export type ProjectName = (typeof PROJECT_NAMES)[number];

/** Benches are run when asked for, and are no part of the tests. */
const INCLUDE: Readonly<Record<ProjectName | 'benches', string>> = {
  unit: 'test/unit/**/*.test.ts',
  device: 'test/device/**/*.test.ts',
  vm: 'test/vm/**/*.test.ts',
  reliability: 'test/reliability/**/*.test.ts',
  slurm: 'test/slurm/**/*.test.ts',
  kvm: 'test/kvm/**/*.test.ts',
  suites: 'src/suites/*.suite.ts',
  benches: 'src/benches/*.bench.ts',
};

/** Every wait of the rig has a limit of its own; this one is for a test that waits for something else. */
const LAST_RESORT_MS = 15 * 60_000;

/** Characters of a value in an assertion's message. */
const LONGEST_VALUE = 4000;

/**
 * What a suite elsewhere imports, from wherever it lies: the face of the testbed as package.json has it in "exports",
 * and this vitest, since another one would not know the test that is running.
 */
const FOR_FOREIGN_SUITES = [
  { find: /^dgpu-rig$/, replacement: repositoryPath('src/testbed/for-suites.ts') },
  { find: /^dgpu-rig\/testbed\//, replacement: repositoryPath('src/testbed/') },
  { find: /^vitest$/, replacement: repositoryPath('node_modules/vitest/dist/index.js') },
];

interface ProjectOptions {
  readonly include?: readonly string[];
  readonly maxVms?: number;
  readonly flavour?: Flavour;
}

export function vitestProject(
  name: ProjectName | 'benches',
  { include, maxVms = defaultMaxVms(), flavour = 'plain' }: ProjectOptions = {},
): TestProjectInlineConfiguration {
  const bootsVms = name !== 'unit';
  const isForeign = include?.some((file) => path.isAbsolute(file) && !file.startsWith(repositoryPath('/'))) ?? false;
  const lastResort = LAST_RESORT_MS * slowdownOf(flavour);
  return {
    root: repositoryPath(),
    ...(isForeign ? { resolve: { alias: FOR_FOREIGN_SUITES } } : {}),
    // Its warnings are about packages' source maps.
    logLevel: 'error',
    test: {
      name,
      include: include ? [...include] : [INCLUDE[name]],
      // Processes and not threads: the host's kernel ties a QEMU to the life of the thread that started it.
      pool: 'forks',
      runner: repositoryPath('src/plan/printed-name-runner.ts'),
      // By default an assertion's message has no room for the second name of a list of complaints.
      chaiConfig: { truncateThreshold: LONGEST_VALUE },
      // Several files at a time, each with one VM at most. Vitest wants the same of all projects that it runs together.
      maxWorkers: maxVms,
      ...(bootsVms
        ? {
            // When there are fewer files, several concurrent tests of each.
            maxConcurrency: Math.max(1, Math.floor(maxVms / (include?.length ?? Infinity))),
            globalSetup: [repositoryPath('src/plan/global-setup.ts')],
            setupFiles: [repositoryPath('src/plan/worker-setup.ts')],
            testTimeout: lastResort,
            hookTimeout: lastResort,
          }
        : {
            testTimeout: 60_000,
            // It imports JSON as only bundlers do.
            server: { deps: { inline: ['@actions/workflow-parser'] } },
          }),
    },
  };
}
