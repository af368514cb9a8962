/**
 * How much of the memory that a device reaches can be had, all of it at once: the program `dma`, and the oracle on what
 * it says.
 */
import { z } from 'zod';
import { only, type DmaWitnesses } from './dma-witnesses.ts';
import { PAGE_SIZE, type Zone } from '../guest/proc-files.ts';
import { programReport } from '../programs/stress-program.ts';

export const dmaReport = programReport.extend({
  objects: z.number(),
  /** Of those, in memory at the same time. */
  resident: z.number(),
  bytesVerified: z.number(),
  checksumsVerified: z.number(),
  /** What others had of shmem memory before: those few pages may be moved to any node. */
  othersShmem: z.number(),
  /** By node, what its shmem memory grew by: the guest kernel's own account of where objects are. */
  shmemOnNode: z.record(z.string(), z.number()),
});

/** With `--move yes`. */
export const movedReport = dmaReport.extend({
  /** By node, the pages that were there after they had been told to go there. */
  pagesOnNode: z.record(z.string(), z.number()),
  /** Objects that MADV_COLLAPSE has made huge. */
  collapsed: z.number(),
});

type DmaReport = z.infer<typeof dmaReport>;

interface Reach {
  readonly report: DmaReport;
  readonly witnesses: DmaWitnesses;
}

/** The largest that x86 has for pages of 4 KiB. */
const HUGE_FOLIO = 2 * 2 ** 20;

type ReachComplaint = 'wrong-content' | 'not-all-resident' | 'swapped' | 'memory-above-limit';

/**
 * What is wrong with memory that was free and within reach; empty is good.
 *
 * Not wrong is what kswapd does to a node that objects have filled. It takes one allocation that has to be from that
 * node (a slab for the stack of a kernel thread: `__GFP_THISNODE`) to wake it, whoever has filled the node and however
 * much is free on others. It then reclaims up to the high watermark (mm/vmscan.c, kswapd_shrink_node()), by whole
 * folios, the last of which may be a huge one, and asks shrinkers on the way: they let go of objects of which nearly
 * all pages stay in memory.
 */
export function reachComplaints(
  { report, witnesses }: Reach,
  zones: readonly Zone[],
  limitBits: number,
): ReachComplaint[] {
  const keptFree = mostKeptFree(zones, limitBits);
  const inMemory = report.bytesVerified - memoryBelow(report, zones, limitBits) <= keptFree;
  return only<ReachComplaint>({
    'wrong-content': !report.ok || report.checksumsVerified !== report.objects,
    'not-all-resident': report.resident !== report.objects && !inMemory,
    swapped: witnesses.pswpout * PAGE_SIZE > keptFree,
    'memory-above-limit': memoryAbove(report, zones, limitBits) > report.othersShmem,
  });
}

/** What the kernel may want to keep free of the memory within the limit. */
function mostKeptFree(zones: readonly Zone[], limitBits: number): number {
  const within = zones.filter(({ startAddress }) => startAddress < 2 ** limitBits);
  const nodes = new Set(within.map(({ node }) => node)).size;
  return within.reduce((sum, zone) => sum + zone.highWatermarkBytes, nodes * HUGE_FOLIO);
}

/** How much of the objects lies on nodes that have memory within the limit, in use by the device or not. */
function memoryBelow(report: DmaReport, zones: readonly Zone[], limitBits: number): number {
  const all = Object.values(report.shmemOnNode).reduce((sum, bytes) => sum + bytes, 0);
  return all - memoryAbove(report, zones, limitBits);
}

/** How much of the objects lies on nodes that have no memory within the limit. */
export function memoryAbove(report: DmaReport, zones: readonly Zone[], limitBits: number): number {
  return nodesAbove(zones, limitBits).reduce((sum, node) => sum + (report.shmemOnNode[node] ?? 0), 0);
}

/** Nodes that have no memory within the limit. */
export function nodesAbove(zones: readonly Zone[], limitBits: number): number[] {
  const nodes = [...new Set(zones.map(({ node }) => node))];
  return nodes.filter((node) => zones.every((zone) => zone.node !== node || zone.startAddress >= 2 ** limitBits));
}
