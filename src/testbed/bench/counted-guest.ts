/**
 * What a test overrides to have CPU time counted in instructions (on TCG): the same on every host, however busy. It is
 * hard on those who copy, for a real CPU copies with more instructions a nanosecond than it does anything else. Without
 * string instructions, of which each page would be 4096, a copy is about 700.
 */
export const COUNTED_GUEST = { countsInstructions: true, kernelArgs: ['clearcpuid=rep_good,erms,fsrm'] };
