/** How much memory the emulated GPU has where a suite does not say otherwise. */
export const GPU_MEMORY = { vramMiB: 256, apertureMiB: 256 } as const;
