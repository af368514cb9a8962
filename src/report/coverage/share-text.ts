/** A share as a figure. */
import type { Share } from './coverage-report.ts';

/** Never "100.0 %" of something that lacks a line. */
export function figure({ lines, covered }: Share): string {
  if (lines === 0) return '–';
  return `${(Math.floor((covered / lines) * 1000) / 10).toFixed(1)} %`;
}
