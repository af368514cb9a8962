/** What a suite outside of the repository imports as "dgpu-rig"; the rest of the testbed is "dgpu-rig/testbed/…". */
export { describe, expect } from 'vitest';
export { z } from 'zod';
export { test } from './fixtures.ts';
export { programReport } from './programs/stress-program.ts';
export { contentComplaints, dmaComplaints, swapComplaints } from './witnesses/dma-witnesses.ts';
export { hasUnreachableRam, reachableFreeBytes } from './guest/proc-files.ts';
