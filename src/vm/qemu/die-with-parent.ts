/**
 * A process that owns VMs must not outlive the one that told it to, nor end before it.
 * Returns what lets SIGTERM end it again: that is how vitest ends a worker that has nothing left to do.
 */
export function dieWithParent(): () => void {
  // Ctrl-C, timeout(1) and a terminal that closes reach the whole group; it is the main process that ends tests in
  // order, and VMs with them.
  const ignore = (): void => undefined;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, ignore);
  // The channel to a main process that was killed closes; our QEMUs then die by their PDEATHSIG.
  process.on('disconnect', () => process.exit(1));
  return () => process.off('SIGTERM', ignore);
}
