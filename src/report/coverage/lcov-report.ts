/** lcov's format (geninfo(1)), which genhtml and most services for coverage read; paths are those of the tree. */
import type { CoverageReport, CoveredFile } from './coverage-report.ts';

export function lcovReport({ files }: CoverageReport): string {
  return files.map(section).join('');
}

function section({ file, lines, covered, counts, functions }: CoveredFile): string {
  const called = functions.filter(({ count }) => count > 0);
  return [
    'TN:',
    `SF:${file}`,
    ...functions.map(({ name, line }) => `FN:${String(line)},${name}`),
    ...functions.map(({ name, count }) => `FNDA:${String(count)},${name}`),
    ...[`FNF:${String(functions.length)}`, `FNH:${String(called.length)}`],
    ...counts.map(({ line, count }) => `DA:${String(line)},${String(count)}`),
    ...[`LF:${String(lines)}`, `LH:${String(covered)}`, 'end_of_record', ''],
  ].join('\n');
}
