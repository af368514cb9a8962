/** Reports of a whole log; a last line without its end is not looked at, for it may still change its meaning. */
import { KernelReportScanner, type KernelReport } from '../../../src/vm/kernel-log/kernel-report.ts';

export function findKernelReports(log: string): readonly KernelReport[] {
  const scanner = new KernelReportScanner();
  for (const line of log.split('\n').slice(0, -1)) scanner.push(line);
  return scanner.reports;
}
