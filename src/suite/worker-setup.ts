/** Runs first in every vitest worker that may own VMs. */

// Ctrl-C reaches the whole foreground group; it is the main process that ends tests in order, and VMs with them.
process.on('SIGINT', () => undefined);

// When the main process dies without a word, so does the worker, and by PDEATHSIG its VMs.
process.on('disconnect', () => process.exit(1));
