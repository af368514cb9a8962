/** The last line of every run: what a CI looks for. */
export function summaryLine(passed: number, failed: number): string {
  return `${String(passed)} passed, ${String(failed)} failed`;
}
