/** The order of test files: the longest first, by the ledger, so that no processor idles at the end. */
import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { repositoryPath } from '../config/paths.ts';
import { readLedger } from './ledger.ts';

export class LongestFirst extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const known = readLedger();
    // A suite that nobody has measured may well be long; what else is not in the ledger takes no second.
    const seconds = ({ moduleId }: TestSpecification): number => {
      const file = path.relative(repositoryPath(), moduleId);
      return known[file]?.seconds ?? (file.endsWith('.suite.ts') ? Infinity : 0);
    };
    const byLength = (a: TestSpecification, b: TestSpecification): number =>
      Math.sign(seconds(b) - seconds(a)) || a.moduleId.localeCompare(b.moduleId);
    return Promise.resolve(files.toSorted(byLength));
  }
}
