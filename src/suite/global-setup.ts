/** For vitest started by hand (`npx vitest`): what the CLI otherwise prepares and provides itself. */
import type { TestProject } from 'vitest/node';
import { DEFAULT_SELECTION } from './rig-context.ts';
import { prepareRun, randomSeed } from './run-context.ts';

export default async function setup(project: TestProject): Promise<void> {
  if ('rig' in project.getProvidedContext()) return;
  const rig = await prepareRun({
    selection: { ...DEFAULT_SELECTION, seed: randomSeed() },
    accelerator: 'auto',
    kernelSource: undefined,
    emit: () => undefined,
    signal: new AbortController().signal,
  });
  project.vitest.getRootProject().provide('rig', rig);
}
