/** Run by gdb-verb.test.ts in a terminal of its own: runs gdb until it is told to end, and exits as main.ts does. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { runDebugger } from '../../../src/cli/desk/gdb-verb.ts';
import { Interruption, openSession } from '../../../src/cli/session.ts';

const { signal, progress } = openSession(process.stderr);
progress.stop();
writeFileSync(path.join(process.env['FAKE_GDB'] ?? '', 'rig'), String(process.pid));
const error: unknown = await runDebugger('gdb', [], signal).catch((thrown: unknown) => thrown);
process.exit(error instanceof Interruption ? 130 : 4);
