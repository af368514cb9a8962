/**
 * Run by crashes.test.ts as a process of its own: opens a session, prints until it ends, and says by which reason it
 * did.
 */
import { Interruption, openSession } from '../../../src/cli/session.ts';

const { signal, progress } = openSession();
const printing = setInterval(() => progress.print('a line'), 5);
signal.addEventListener('abort', () => {
  clearInterval(printing);
  const reason: unknown = signal.reason;
  process.exit(reason instanceof Interruption ? 130 : 4);
});
