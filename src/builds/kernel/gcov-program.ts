/** The program that reads what a profiled kernel has counted: it has to be of the compiler that built the kernel. */

import { execa } from 'execa';

import { RigError } from '../../util/rig-error.ts';
import { installCommand } from '../debian/host-packages.ts';
import { buildEnvironment } from '../tree/build-environment.ts';

export async function gcovProgram(): Promise<string> {
  const gcov = (await run('gcc', '-print-prog-name=gcov'))?.trim() ?? 'gcov';
  const [compiler, reader] = [versionOf(await run('gcc', '--version')), versionOf(await run(gcov, '--version'))];
  if (reader !== undefined && reader === compiler) return gcov;
  const found = reader === undefined ? 'there is none' : `${gcov} is of ${reader}`;
  throw new RigError('infrastructure', `Coverage is read by the gcov of gcc ${String(compiler)}, and ${found}.`, {
    remedy: `Debian has it in the package of the compiler: ${installCommand(['--reinstall', 'gcc'])}`,
  });
}

async function run(program: string, argument: string): Promise<string | undefined> {
  const result = await execa(program, [argument], { env: buildEnvironment(), extendEnv: false, reject: false });
  return result.failed ? undefined : result.stdout;
}

/** Of "gcc (Debian 12.2.0-14) 12.2.0" the end. */
function versionOf(said: string | undefined): string | undefined {
  return said?.split('\n', 1)[0]?.split(' ').at(-1);
}
