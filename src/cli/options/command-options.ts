/** The options of a verb, as the command line takes them. */
import path from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { isAssignment } from '../../builds/kernel/user-config.ts';
import { parseDuration } from '../../config/duration.ts';
import { isMachineFile } from '../../config/machine-name.ts';
import { parseQuantity } from '../../config/parse-quantity.ts';
import { parseShard, type Shard } from '../../config/shard.ts';
import { parseShare, type AskedShare } from '../../config/share.ts';
import { parseTransfer, type Transfer } from '../../config/transfer.ts';
import { suiteOf } from '../../plan/suite-files.ts';
import { parseTracePatterns } from '../../vm/trace/trace-patterns.ts';
import { longName, OPTIONS, type NumberRange, type OptionName, type OptionRow, type Options } from './option-table.ts';

/** What the verb `completion` is for. */
export const COMPLETION = 'print the shell code that completes these commands: source <(./dgpu-rig completion bash)';

export function addOptions(command: Command, names: readonly OptionName[]): Command {
  for (const name of names) command.addOption(commandOption(name));
  return command;
}

function commandOption(name: OptionName): Option {
  const row = OPTIONS[name];
  const { flag, parse } = syntaxOf(row.is);
  const option = new Option(`--${longName(name)}${flag === '' ? '' : ` <${flag}>`}`, row.help);
  if (typeof row.is === 'object' && 'oneOf' in row.is) option.choices(row.is.oneOf);
  if (parse) option.argParser(parse);
  if (row.default !== undefined) option.default(row.default, String(row.default));
  return option;
}

interface Syntax {
  /** What stands for the value in the help; a switch has none. */
  readonly flag: string;
  readonly parse?: (word: string, before: unknown) => unknown;
}

function syntaxOf(is: OptionRow['is']): Syntax {
  if (typeof is === 'object') {
    return 'oneOf' in is ? { flag: 'name' } : { flag: 'list', parse: (word) => parseList(word, is.someOf) };
  }
  switch (is) {
    case 'switch':
      return { flag: '' };
    case 'machine':
    case 'plan':
      return { flag: 'name' };
    case 'file':
      return { flag: 'file' };
    case 'folder':
      return { flag: 'dir' };
    case 'count':
      return { flag: 'n', parse: parseCount };
    case 'time':
      return { flag: 'time', parse: parseTime };
    case 'size':
      return { flag: 'size', parse: parseSize };
    case 'pattern':
      return { flag: 'regex', parse: parsePattern };
    case 'shard':
      return { flag: 'i/n', parse: parseShardOption };
    case 'text':
      return { flag: 'text', parse: parseKernelArguments };
    case 'files':
      return { flag: 'file', parse: repeated((word) => word) };
    case 'kconfigs':
      return { flag: 'option', parse: repeated((word) => word) };
    case 'events':
      return { flag: 'list', parse: parseEvents };
    case 'suites':
      return { flag: 'suite', parse: repeated(suiteOf) };
    case 'commands':
      return { flag: 'command', parse: repeated((word) => word) };
    case 'shares':
      return { flag: 'dir[:/where]', parse: repeated(parseShareOption) };
    case 'packages':
      return {
        flag: 'list',
        parse: (word, before) => [...((before as string[] | undefined) ?? []), ...parsePackages(word)],
      };
    case 'targets':
      return {
        flag: 'list',
        parse: (word, before) => [...((before as string[] | undefined) ?? []), ...parseTargets(word)],
      };
    case 'transfers':
      return { flag: 'from:to', parse: repeated(parseTransferOption) };
  }
}

/** What each of the words of an option that is repeated stands for. */
function repeated<T>(parse: (word: string) => T): (word: string, before: unknown) => T[] {
  return (word, before) => [...((before as T[] | undefined) ?? []), parse(word)];
}

/** The same options for another rig, whatever the defaults are where that one is started. */
export function asArguments(options: Partial<Options<OptionName>>, names: readonly OptionName[]): string[] {
  return names.flatMap((name) => {
    const value = options[name];
    if (value === undefined || value === false) return [];
    const { is } = OPTIONS[name];
    if (value === true) return [`--${longName(name)}`];
    const values: readonly unknown[] = isRepeated(is) ? [value].flat() : [value];
    return values.flatMap((each) => [`--${longName(name)}`, wordOf(each, is)]);
  });
}

function isRepeated(is: OptionRow['is']): boolean {
  return (
    typeof is === 'string' &&
    ['commands', 'suites', 'transfers', 'shares', 'packages', 'targets', 'files', 'kconfigs'].includes(is)
  );
}

/** One of the rig's own is a name, one of the user's a file. */
export function absoluteMachine(machine: string): string {
  return isMachineFile(machine) ? path.resolve(machine) : machine;
}

export function absoluteKconfig(word: string): string {
  return isAssignment(word) ? word : path.resolve(word);
}

function wordOf(value: unknown, is: OptionRow['is']): string {
  if (value instanceof RegExp) return value.source;
  if (is === 'transfers') return transferWord(value as Transfer);
  if (is === 'shares') return shareWord(value as AskedShare);
  if (is === 'time') return `${String(value)} ms`;
  if (is === 'size') return `${String(value)} B`;
  const word = String(value);
  if (is === 'machine') return absoluteMachine(word);
  if (is === 'kconfigs') return absoluteKconfig(word);
  return is === 'folder' || is === 'files' ? path.resolve(word) : word;
}

function transferWord({ from, to }: Transfer): string {
  return `${path.resolve(from)}:${to}`;
}

function shareWord({ folder, at }: AskedShare): string {
  return `${path.resolve(folder)}${at === undefined ? '' : `:${at}`}`;
}

function parseList(text: string, { from, to }: NumberRange): number[] {
  const words = text.split(',').map((word) => word.trim());
  if (words.every((word) => /^\d+$/.test(word) && Number(word) >= from && Number(word) <= to)) {
    return [...new Set(words.map(Number))];
  }
  throw new InvalidArgumentError(`Give whole numbers from ${from} to ${to}, separated by commas.`);
}

function parseShardOption(text: string): Shard {
  const shard = parseShard(text);
  if (shard) return shard;
  throw new InvalidArgumentError('Give it as i/n, i from 1 to n: 2/5.');
}

function parseTransferOption(text: string): Transfer {
  const transfer = parseTransfer(text);
  if (transfer) return transfer;
  throw new InvalidArgumentError('Give it as FROM:TO, as in fio.job:/tmp/.');
}

function parseShareOption(text: string): AskedShare {
  const share = parseShare(text);
  if (share) return share;
  throw new InvalidArgumentError('Give it as DIR or DIR:/where, as in ~/linux:/mnt/linux.');
}

/** As Debian's policy has names, without a version and without an architecture. */
function parsePackages(text: string): string[] {
  const names = text.split(/[\s,]+/).filter((name) => name !== '');
  if (names.length > 0 && names.every((name) => /^[a-z0-9][a-z0-9+.-]+$/.test(name))) return names;
  throw new InvalidArgumentError('Give names of Debian packages, separated by commas: stress-ng,python3.');
}

function parseTargets(text: string): string[] {
  const names = text.split(/[\s,]+/).filter((name) => name !== '');
  // They become words of a command of make and of the guest's shell.
  if (names.length > 0 && names.every((name) => /^\w[\w/.-]*$/.test(name))) return names;
  throw new InvalidArgumentError('Give names of folders of tools/testing/selftests, separated by commas: mm,timers.');
}

function parseTime(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds !== undefined) return milliseconds;
  throw new InvalidArgumentError('Give a duration such as 90 s, 30 min or 8 h.');
}

function parseSize(text: string): number {
  const bytes = parseQuantity(text);
  if (bytes !== undefined) return Number(bytes);
  throw new InvalidArgumentError('Give a size such as 500 MiB or 5 GiB.');
}

/** What x86 keeps of a command line is 2047 characters, and the rig and its suites need some. */
const LONGEST_APPEND = 1500;

function parseKernelArguments(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It is empty.');
  if (/[\0\n\r]/.test(text)) throw new InvalidArgumentError("The kernel's command line is one line.");
  if (text.length <= LONGEST_APPEND) return text;
  throw new InvalidArgumentError(`It has ${text.length} characters; the most are ${LONGEST_APPEND}.`);
}

function parseEvents(text: string): readonly string[] {
  const patterns = parseTracePatterns(text);
  if (patterns) return patterns;
  throw new InvalidArgumentError('Give events as SYSTEM:EVENT, separated by commas: drm:*,vmscan:mm_vmscan_*.');
}

function parsePattern(text: string): RegExp {
  if (text === '') throw new InvalidArgumentError('It is empty; without --filter all tests run.');
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function parseCount(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('Give a positive whole number.');
}
