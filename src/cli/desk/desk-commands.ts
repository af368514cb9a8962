/** The verbs for a person at a desk: what gets them into a VM. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ConsoleOptions } from './console-verb.ts';
import type { GdbOptions } from './gdb-verb.ts';
import { addOptions } from '../options/command-options.ts';
import { MACHINE_OPTIONS, REPRO_OPTIONS, type ReproOptions } from '../options/option-table.ts';
import type { Session } from '../session.ts';
import type { ShellOptions, Transfer } from './shell-verb.ts';

export function addDeskCommands(root: Command, session: Session, exit: (code: number) => void): void {
  addOptions(
    root.command('shell').description('a shell, or one command, in a fresh VM or a running one'),
    MACHINE_OPTIONS,
  )
    .argument('[command...]', 'to run instead of a shell; after --')
    .addOption(transferOption('--put <local:guest>', 'a file or folder to copy into the guest, before'))
    .addOption(transferOption('--get <guest:local>', 'one to copy out of it, after'))
    .addOption(vmOption())
    .action(async (command: string[], options: ShellOptions) =>
      exit(await (await import('./shell-verb.ts')).shellVerb(command, options, session)),
    );
  addOptions(root.command('console').description('the serial port of a fresh VM or a running one'), MACHINE_OPTIONS)
    .addOption(vmOption())
    .action(async (options: ConsoleOptions) =>
      exit(await (await import('./console-verb.ts')).consoleVerb(options, session)),
    );
  addOptions(
    root.command('gdb').description('gdb on the kernel of a fresh VM, with symbols and the lx- commands'),
    MACHINE_OPTIONS,
  )
    .argument('[args...]', 'more arguments for gdb; after --')
    .option('--no-driver', 'do not load the driver before')
    .action(async (args: string[], options: GdbOptions) =>
      exit(await (await import('./gdb-verb.ts')).gdbVerb(args, options, session)),
    );
  addOptions(
    root.command('repro').description('run what failed in a recorded run again: same seed, machine and kernel'),
    REPRO_OPTIONS,
  )
    .argument('<id>', 'a run (12, last, a commit), or one of its tests (12.3)')
    .action(async (id: string, options: ReproOptions) =>
      exit(await (await import('../run/repro-verb.ts')).reproVerb(id, options, session)),
    );
}

function vmOption(): Option {
  return new Option(
    '--vm [name]',
    'the running VM with this process id, or this in its name; the only one if none is named',
  );
}

function transferOption(flags: string, description: string): Option {
  return new Option(flags, `${description}; may be repeated`)
    .default([], 'none')
    .argParser((text, before: readonly Transfer[]) => [...before, parseTransfer(text)]);
}

export function parseTransfer(text: string): Transfer {
  const [, from, to] = /^([^:]+):([^:]+)$/.exec(text) ?? [];
  if (from === undefined || to === undefined)
    throw new InvalidArgumentError('Give it as FROM:TO, as in fio.job:/tmp/.');
  return { from, to };
}
