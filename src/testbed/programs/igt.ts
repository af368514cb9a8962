/** IGT's programs in a guest: they are put there, and run one by one. */
import { igtProgram, IGT_LOADER, obtainIgt } from '../../builds/debian/igt-package.ts';
import { igtResults, isSkipped, type IgtExpectations, type IgtResult } from '../../plan/igt.ts';
import { putFiles } from '../../vm/link/file-transfer.ts';
import type { Vm } from '../../vm/vm.ts';
import type { Guest } from '../guest/guest.ts';

const FOLDER = '/tmp/igt';

/** Returns the names of the programs that are there now. */
export async function installIgt(vm: Vm, guest: Guest, signal: AbortSignal): Promise<readonly string[]> {
  const { archive, programs } = await obtainIgt(() => undefined, signal);
  await putFiles(vm.session(), archive, '/tmp/igt.tar.gz', vm.signal);
  await guest.run(`mkdir ${FOLDER} && tar -xzf /tmp/igt.tar.gz -C ${FOLDER} && rm /tmp/igt.tar.gz`);
  return programs;
}

/**
 * Who can make fences that only user space signals (sw_sync) can have any driver wait for ever. The kernel taints
 * itself with this as soon as somebody does; a real lockup says so, too, and that is a report.
 */
export const SW_SYNC_TAINT = 'soft lockup';

/** The programs that make such fences. */
export async function swSyncPrograms(guest: Guest): Promise<readonly string[]> {
  return (await guest.run(`cd ${FOLDER}/${igtProgram('')} && grep -l sw_sync_timeline_create *`)).split('\n');
}

interface IgtRun {
  /** In seconds, for the program. */
  readonly limitS: number;
  /** For a driver whose devices IGT does not take where any would do. */
  readonly onlyDriver?: string | undefined;
}

/** All parts of a program but those that are not to be run. */
export async function runIgt(
  guest: Guest,
  program: string,
  expectations: IgtExpectations,
  { limitS, onlyDriver }: IgtRun,
): Promise<IgtResult[]> {
  const environment = onlyDriver === undefined ? '' : `IGT_FORCE_DRIVER=${onlyDriver} `;
  const command = `${IGT_LOADER} ${igtProgram(program)}`;
  const some = expectations.skips.some(({ source }) => source.includes('@'));
  const parts = some ? (await guest.exec(`cd ${FOLDER} && ${command} --list-subtests`)).stdout.split('\n') : [];
  const skipped = parts.filter((part) => isSkipped(`${program}@${part.trim()}`, expectations));
  const chosen = skipped.length === 0 ? '' : ` --run-subtest '*,${skipped.map((part) => `!${part.trim()}`).join(',')}'`;
  const { exitCode, stdout, durationMs } = await guest.exec(
    `cd ${FOLDER} && ${environment}timeout ${String(limitS)} ${command}${chosen} 2>&1`,
    { deadlineMs: 2000 * limitS },
  );
  return igtResults(program, { exitCode, output: stdout, timedOut: durationMs >= 1000 * limitS });
}
