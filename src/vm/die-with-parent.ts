/** A process that owns VMs must not outlive the one that told it to, nor end before it. */
export function dieWithParent(): void {
  // Ctrl-C reaches the whole foreground group; it is the main process that ends tests in order, and VMs with them.
  process.on('SIGINT', () => undefined);
  // The channel to a main process that was killed closes; our QEMUs then die by their PDEATHSIG.
  process.on('disconnect', () => process.exit(1));
}
