/** `dgpu-rig crash`: a debugger on the memory that a guest had when it panicked, hung or did not answer in time. */
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { obtainDrgn } from '../../builds/debian/drgn.ts';
import type { TestResult } from '../../report/run-report.ts';
import { testTitle } from '../../report/text/result-text.ts';
import { RigError } from '../../util/rig-error.ts';
import { DUMP_FILE, DUMP_RECORD, dumpRecord, type DumpSymbols } from '../../vm/memory-dump.ts';
import { findRun, openHistory } from '../run/recorded-runs.ts';
import { parseId, subjectsOf } from '../run/repro-verb.ts';
import type { Session } from '../session.ts';
import { runDebugger } from './gdb-verb.ts';

interface Dump extends DumpSymbols {
  readonly core: string;
}

/** More arguments are drgn's own, and the exit code is that of drgn. */
export async function crashVerb(id: string, more: readonly string[], { progress, signal }: Session): Promise<number> {
  const { run, test } = parseId(id);
  const recorded = await findRun(openHistory(), run, Infinity);
  const dump = await findDump(recorded.id, subjectsOf(recorded, test));
  const { program, args, env } = await obtainDrgn(progress.emit, signal);
  progress.stop();
  return runDebugger(program, [...args, ...drgnArguments(dump), ...more], signal, env);
}

/** The one dump that these tests left. */
export async function findDump(run: number, subjects: readonly TestResult[]): Promise<Dump> {
  const refusals: RigError[] = [];
  for (const subject of subjects) {
    const found = await dumpOf(subject, run).catch((error: unknown) => error);
    if (!(found instanceof Error)) return found as Dump;
    if (!(found instanceof RigError)) throw found;
    refusals.push(found);
  }
  const [first] = refusals;
  throw first ?? new Error('No test was asked for');
}

async function dumpOf(result: TestResult, run: number): Promise<Dump> {
  const title = testTitle(result);
  const again = `./dgpu-rig repro ${String(run)} --debug-info`;
  const { artifacts } = result;
  const text = await readFile(path.join(artifacts ?? '', DUMP_RECORD), 'utf8').catch(() => undefined);
  if (artifacts === undefined || text === undefined) {
    throw new RigError('usage', `There is no dump of the memory of ${title}.`, {
      remedy: `A panic, a hang or a time-out leaves one, with a kernel that has debug information: ${again}`,
    });
  }
  const record = dumpRecord.parse(JSON.parse(text));
  if ('refused' in record) {
    throw new RigError('usage', `There is no dump of the memory of ${title}: ${record.refused}.`, { remedy: again });
  }
  const core = path.join(artifacts, DUMP_FILE);
  for (const file of [core, record.vmlinux]) {
    await access(file).catch((cause: unknown) => {
      throw new RigError('usage', `The dump of ${title} can't be read: ${file} is gone.`, { remedy: again, cause });
    });
  }
  return { core, ...record };
}

/** drgn looks there for the modules that the kernel had loaded. */
export function drgnArguments({ core, vmlinux, modules }: Dump): string[] {
  return ['-c', core, '-s', vmlinux, '--kernel-directory', modules];
}
