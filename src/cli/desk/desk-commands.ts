/** The verbs for a person at a desk: what gets them into a VM. */
import { Option, type Command } from 'commander';
import type { ConsoleOptions } from './console-verb.ts';
import type { GdbOptions } from './gdb-verb.ts';
import { addOptions } from '../options/command-options.ts';
import { DESK_OPTIONS, REPRO_OPTIONS, SHELL_OPTIONS, type ReproOptions } from '../options/option-table.ts';
import type { Session } from '../session.ts';
import type { ShellOptions } from './shell-verb.ts';

export function addDeskCommands(root: Command, session: Session, exit: (code: number) => void): void {
  addOptions(
    root.command('shell').description('open a shell, or run one command, in a new VM or in a running one'),
    SHELL_OPTIONS,
  )
    .argument('[command...]', 'the command to run instead of a shell; write it after --')
    .addOption(vmOption())
    .action(async (command: string[], options: ShellOptions) =>
      exit(await (await import('./shell-verb.ts')).shellVerb(command, options, session)),
    );
  addOptions(root.command('console').description('open the serial port of a new VM or of a running one'), DESK_OPTIONS)
    .addOption(vmOption())
    .action(async (options: ConsoleOptions) =>
      exit(await (await import('./console-verb.ts')).consoleVerb(options, session)),
    );
  addOptions(
    root.command('gdb').description('start gdb on the kernel of a new VM, with symbols and the lx- commands'),
    DESK_OPTIONS,
  )
    .argument('[args...]', 'more arguments for gdb; after --')
    .option('--no-driver', 'do not load the driver first')
    .action(async (args: string[], options: GdbOptions) =>
      exit(await (await import('./gdb-verb.ts')).gdbVerb(args, options, session)),
    );
  root
    .command('crash')
    .description('start drgn on the memory of a guest that panicked, hung or did not answer in time')
    .argument('<id>', 'a run (12, last, a commit), or one of its tests (12.3)')
    .argument('[args...]', 'more arguments for drgn; after --')
    .action(async (id: string, args: string[]) =>
      exit(await (await import('./crash-verb.ts')).crashVerb(id, args, session)),
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
    'use a running VM: its process id or a part of its name; without either the only one that runs',
  );
}
