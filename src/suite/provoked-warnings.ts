/** Warnings that cases of the kernel's own tests provoke, told from those that nobody expects. */
import type { KernelReport } from '../vm/kernel-report.ts';

export interface ProvokedWarning {
  /** The function that warns. */
  readonly at: string;
  /** The case that has it called. */
  readonly case: string;
}

/** By function, those that are expected; by title, all others. TTM also notes what a case asks of it that can't be had: that is no bug. */
export function bugsFound(reports: readonly KernelReport[], expected: readonly ProvokedWarning[]): string[] {
  const bugs = reports.filter(({ severity }) => severity === 'bug');
  return bugs
    .map(({ title, lines }) => {
      const provoked = expected.find(({ at }) => title.includes(` at ${at}+`));
      return provoked && lines.some((line) => line.includes(`${provoked.case}+`)) ? provoked.at : title;
    })
    .sort();
}

/** Each of them once. */
export function bugsExpected(expected: readonly ProvokedWarning[]): string[] {
  return expected.map(({ at }) => at).sort();
}
