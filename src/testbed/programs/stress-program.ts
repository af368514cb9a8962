/** The test programs in the guest, `edgpu-stress NAME --option value …`, and the line of JSON that each ends with. */
import { z } from 'zod';
import { RigError } from '../../util/rig-error.ts';
import type { Guest } from '../guest/guest.ts';

/** What every program says; each adds fields of its own. */
export const programReport = z.looseObject({
  /** Nothing failed and nothing was found to be wrong. */
  ok: z.boolean(),
  mismatches: z.number(),
  firstError: z.string().optional(),
});

export type ProgramReport = z.infer<typeof programReport>;

export const smokeReport = programReport.extend({
  bytesVerified: z.number(),
  checksumsVerified: z.number(),
  objects: z.number(),
  /** Of all objects, when the last one was written. */
  pagesInSwap: z.number(),
  /** From its submission to its end, and of the first access to an object. */
  longestJobMs: z.number(),
  longestFaultMs: z.number(),
  phasesMs: z.record(z.string(), z.number()),
});

export const hogReport = programReport.extend({ bytesVerified: z.number(), rounds: z.number() });

export const hmmReport = programReport.extend({
  rounds: z.number(),
  /** Of all rounds: unmapped when the device had begun to give them back, and had not ended. */
  areasInTime: z.number(),
  bytesVerified: z.number(),
});

export const svmReport = programReport.extend({
  bytesVerified: z.number(),
  /** Moved there, as the driver says. */
  bytesToVram: z.number(),
  rounds: z.number(),
  /** Of copies back that the device failed at, and moves there. */
  busErrors: z.number(),
  refused: z.number(),
  /** Of its pages, when they had come back once. */
  pagesInSwap: z.number(),
  /** Of the pages that came back: those of huge ones, and the highest address. */
  hugePagesBack: z.number(),
  highestAddress: z.number(),
});

export const migrateReport = programReport.extend({
  bytesVerified: z.number(),
  /** Accessed by the CPU after they were away, and in its memory by then, in all rounds. */
  bytesUsed: z.number(),
  bytesBack: z.number(),
  /** CPU time of one round: to move it there and back, and of access to all of it that follows. */
  outNs: z.number(),
  backNs: z.number(),
  mapNs: z.number(),
  /** Of the first access to 2 MiB that are away; the median. */
  faultNs: z.number(),
});

export const spawnReport = programReport.extend({ programs: z.number() });

export const readerReport = programReport.extend({ rounds: z.number() });

export const reclaimReport = programReport.extend({
  wallNs: z.number(),
  /** Of the threads that reclaim. */
  cpuNs: z.number(),
  cacheBytes: z.number(),
  vmstat: z.record(z.string(), z.number()),
  /** By number; each has `before_pages`, `before_swapped` (of its own), and what its counters have grown by. */
  devices: z.record(z.string(), z.record(z.string(), z.number())),
  /** `slow` are the faults that took more than 100 µs. */
  bystander: z.object({
    faults: z.number(),
    slow: z.number(),
    p50Ns: z.number(),
    p99Ns: z.number(),
    maxNs: z.number(),
  }),
});

export type ReclaimReport = z.infer<typeof reclaimReport>;

export const mmioReport = programReport.extend({ registerNs: z.number(), memoryNs: z.number() });

const cost = z.object({ createNs: z.number(), useNs: z.number(), destroyNs: z.number() });

export const objectsReport = programReport.extend({ objectsVerified: z.number(), amongFew: cost, amongAll: cost });

const phaseCost = z.object({
  wallNs: z.number(),
  cpuNs: z.number(),
  pagesAllocated: z.number(),
  pswpout: z.number(),
  pswpin: z.number(),
  freeBytes: z.number(),
  lowestFreeBytes: z.number(),
  lowestAvailableBytes: z.number(),
});

export const cycleReport = programReport.extend({
  bytesVerified: z.number(),
  /** Of all objects, once the last one was filled. */
  bytesResident: z.number(),
  phases: z.object({ fill: phaseCost, evict: phaseCost, reclaim: phaseCost, use: phaseCost }),
});

export const purgeReport = programReport.extend({
  bytesVerified: z.number(),
  pagesLost: z.number(),
  pagesKept: z.number(),
  /** By anybody: the guest's processes have memory, too. */
  pswpout: z.number(),
  /** Of the objects. */
  pagesInSwap: z.number(),
  /** Objects of those needed of which nothing was taken. */
  neededWhole: z.number(),
});

export const evictReport = programReport.extend({
  bytesVerified: z.number(),
  checksumsVerified: z.number(),
  /** Given up one at a time. */
  chunks: z.number(),
  /** To all of its pages, from part of them. */
  returns: z.number(),
  failedMoves: z.number(),
  interruptedMoves: z.number(),
  outMs: z.number(),
  backMs: z.number(),
  /** The most that was held for a move at any time. */
  peakPages: z.number(),
  pswpout: z.number(),
  pswpin: z.number(),
});

export const carveoutReport = programReport.extend({
  bytesVerified: z.number(),
  checksumsVerified: z.number(),
  areaPages: z.number(),
  /** Pages of the area that somebody has, by its own counters, at the end of each step. */
  lent: z.object({
    before: z.number(),
    filled: z.number(),
    evicted: z.number(),
    back: z.number(),
    after: z.number(),
  }),
  /** 1 if another allocator could have half of the area then. */
  otherWhenFilled: z.number(),
  otherWhenEvicted: z.number(),
  chunks: z.number(),
  /** The most copies, in pages, of what was not yet given back, while objects were evicted. */
  extraPages: z.number(),
});

export type CycleReport = z.infer<typeof cycleReport>;

export type SvmReport = z.infer<typeof svmReport>;

export type SmokeReport = z.infer<typeof smokeReport>;

interface ProgramRun<Report extends ProgramReport> {
  readonly name: string;
  readonly options: Readonly<Record<string, string | number>>;
  readonly report: z.ZodType<Report>;
  readonly deadlineMs: number;
  /** Of the program, beside what it has anyway. */
  readonly environment?: Readonly<Record<string, string | number>>;
}

/** Wrong content is a report with `ok: false`, not an exception. */
export async function runProgram<Report extends ProgramReport>(guest: Guest, run: ProgramRun<Report>): Promise<Report> {
  const command = commandLine(run);
  const { stdout, stderr, exitCode } = await guest.exec(command, { deadlineMs: run.deadlineMs });
  const report = parseReport(stdout.trim().split('\n').at(-1) ?? '', run.report);
  if (report) return report;
  const said = `${stdout}\n${stderr}`.trim();
  throw new RigError('test', `"${command}" ended with exit code ${String(exitCode)} and no report. It said: ${said}`);
}

function commandLine({ name, options, environment = {} }: ProgramRun<ProgramReport>): string {
  const variables = Object.entries(environment).map(([variable, value]) => `${variable}=${String(value)}`);
  const words = Object.entries(options).map(([option, value]) => `--${option} ${String(value)}`);
  return [...variables, 'edgpu-stress', name, ...words].join(' ');
}

function parseReport<Report>(line: string, schema: z.ZodType<Report>): Report | undefined {
  try {
    return schema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
