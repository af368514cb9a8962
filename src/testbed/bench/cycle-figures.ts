/** What the phases of the program `cycle` cost, as benches report it. */
import type { CycleReport } from '../programs/stress-program.ts';

const MIB = 2 ** 20;
export const PAGE = 4096;

export type Phase = CycleReport['phases']['fill'];

/** In thousands of what is counted. */
export const costPerPage = ({ cpuNs }: Phase, pages: number): number => cpuNs / 1000 / Math.max(1, pages);
export const allocationsPerPage = ({ pagesAllocated }: Phase, pages: number): number => pagesAllocated / pages;
/** How far free memory fell below what it was. */
export const extraMiB = ({ freeBytes, lowestFreeBytes }: Phase): number => (freeBytes - lowestFreeBytes) / MIB;
export const msPerGiB = ({ wallNs }: Phase, pages: number): number => (wallNs / 1e6) * (2 ** 30 / (pages * PAGE));
