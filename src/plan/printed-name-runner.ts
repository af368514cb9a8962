/** vitest's runner, with one difference: a filter matches the names of tests as they are printed, with their suite. */
import { TestRunner, type RunnerTestFile } from 'vitest';
import { PrintedNamePattern } from './printed-name-pattern.ts';
import { suiteNameOf } from './suite-files.ts';

export default class PrintedNameRunner extends TestRunner {
  override onCollectStart(file: RunnerTestFile): void {
    super.onCollectStart(file);
    const { testNamePattern } = this.config;
    if (testNamePattern)
      this.config.testNamePattern = new PrintedNamePattern(testNamePattern, suiteNameOf(file.filepath));
  }
}
