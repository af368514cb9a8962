/** What cases of the kernel's own tests make it warn of, told from what nobody expects. */
import type { KernelReport } from '../../vm/kernel-log/kernel-report.ts';
import type { KernelReportKind } from '../../vm/kernel-log/kernel-report-kinds.ts';

export interface ProvokedWarning {
  readonly kind: KernelReportKind;
  /** In the title of the report. */
  readonly says: string;
  /** The case that is to blame, which is in the trace. */
  readonly case: string;
}

/** By what they say, those that are expected; by their whole title, all others. */
export function bugsFound(reports: readonly KernelReport[], expected: readonly ProvokedWarning[]): string[] {
  // TTM also notes what a case asks of it that can't be had: that is none.
  const bugs = reports.filter(({ severity }) => severity === 'bug');
  return bugs
    .map(({ kind, title, lines }) => {
      const provoked = expected.find((warning) => warning.kind === kind && title.includes(warning.says));
      return provoked && lines.some((line) => line.includes(`${provoked.case}+`)) ? provoked.says : title;
    })
    .sort();
}

/** Each of them once. */
export function bugsExpected(expected: readonly ProvokedWarning[]): string[] {
  return expected.map(({ says }) => says).sort();
}

export function kindsOf(expected: readonly ProvokedWarning[]): KernelReportKind[] {
  return [...new Set(expected.map(({ kind }) => kind))];
}
