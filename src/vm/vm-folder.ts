/**
 * What one VM has on disk: its console's FIFOs and its swap while it runs, and what it leaves: enough to see what
 * happened, and to boot it again by hand.
 */
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { execa, ExecaError } from 'execa';
import { inScope } from '../util/closing-scope.ts';
import { RigError } from '../util/rig-error.ts';
import { openConsolePort, removeConsolePort } from './link/console-port.ts';
import type { CommandResult } from './link/ssh-session.ts';
import { shellQuote } from '../util/shell-quote.ts';

const CONSOLE = 'console';
const VERDICT = 'result.json';

export class VmFolder {
  readonly path: string;
  readonly consolePort: Duplex;
  readonly serialLog: WriteStream;
  readonly qmpLog: WriteStream;
  readonly #commandLog: WriteStream;

  private constructor(folder: string, consolePort: Duplex) {
    this.path = folder;
    this.consolePort = consolePort;
    this.serialLog = openLog(this.file('serial.log'));
    this.qmpLog = openLog(this.file('qmp.log'));
    this.#commandLog = openLog(this.file('commands.log'));
  }

  /** Says "failed" on disk until the opposite is proven, whatever kills the rig in between. */
  static async create(folder: string): Promise<VmFolder> {
    await mkdir(folder, { recursive: true });
    const created = new VmFolder(folder, await openConsolePort(path.join(folder, CONSOLE)));
    return inScope(async (scope) => {
      scope.defer(() => created.#close(true));
      await created.writeJson(VERDICT, { status: 'failed', reason: 'The rig did not live to judge this VM.' });
      scope.release();
      return created;
    });
  }

  /** QEMU has this name for its end of the console's port. */
  get consoleName(): string {
    return this.file(CONSOLE);
  }

  file(name: string): string {
    return path.join(this.path, name);
  }

  async write(name: string, content: string | Buffer, mode = 0o644): Promise<string> {
    await writeFile(this.file(name), content, { mode }).catch((cause: unknown) => {
      throw unwritable(this.file(name), cause);
    });
    return this.file(name);
  }

  async writeJson(name: string, value: unknown): Promise<void> {
    await this.write(name, `${JSON.stringify(value, undefined, 2)}\n`);
  }

  /** A sparse file: it costs what the guest swaps out. */
  async createSwapImage(sizeMiB: number): Promise<string> {
    const file = await this.write('swap.img', '');
    await truncate(file, sizeMiB * 2 ** 20);
    return file;
  }

  /** Copies a template's swap image, holes and all. */
  async copySwapImage(from: string): Promise<string> {
    const file = this.file('swap.img');
    await copySparse(from, file);
    return file;
  }

  /** Takes away what the guest wrote to its disk, for a control. */
  async wipeSwapImage(): Promise<void> {
    const file = this.file('swap.img');
    const { size } = await stat(file);
    await truncate(file, 0);
    await truncate(file, size);
  }

  /** What was run in the guest, and what it said, in the order in which the commands ended. */
  logCommand(command: string, end: CommandResult | Error): void {
    const said = end instanceof Error ? [] : [end.stdout, end.stderr].map(lastPart).filter((text) => text !== '');
    const how =
      end instanceof Error
        ? end.message
        : `${end.signal ?? `exit code ${String(end.exitCode)}`}, ${(end.durationMs / 1000).toFixed(1)} s`;
    this.#commandLog.write([`$ ${command}`, ...said, `[${how}]`, ''].join('\n'));
  }

  /** Writes the verdict and closes all. What only a running VM needs goes at once; the rest stays if `keep`. */
  async conclude(verdict: Record<string, unknown>, keep: boolean): Promise<void> {
    // Where there is no room for it, what stands there is still "failed".
    await this.writeJson(VERDICT, verdict).catch(() => undefined);
    await this.#close(keep);
  }

  async #close(keep: boolean): Promise<void> {
    this.consolePort.destroy();
    await Promise.all(
      [this.serialLog, this.qmpLog, this.#commandLog].map((log) => finished(log.end()).catch(() => undefined)),
    );
    await removeConsolePort(this.consoleName);
    await rm(keep ? this.file('swap.img') : this.path, { recursive: true, force: true });
  }
}

/** A program that says more is hardly read to its beginning. */
const MOST_OUTPUT = 64 * 2 ** 10;

function lastPart(text: string): string {
  return text.slice(-MOST_OUTPUT).trimEnd();
}

/** Copies a file, holes and all. */
export async function copySparse(from: string, to: string): Promise<void> {
  await execa('cp', ['--sparse=always', '--reflink=auto', from, to]).catch((cause: unknown) => {
    const why = cause instanceof ExecaError ? String(cause.stderr) : String(cause);
    throw new RigError('infrastructure', `${from} could not be copied: ${why}`, {
      remedy: 'Free some space where the artifacts are.',
      cause,
    });
  });
}

function unwritable(file: string, cause: unknown): RigError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const why = code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full' : String(cause);
  return new RigError('infrastructure', `${file} can't be written: ${why}.`, {
    remedy: 'Free some space where the artifacts are.',
    cause,
  });
}

/** On a full disk the log ends; the VM, and with it the verdict, goes on as long as it can. */
function openLog(file: string): WriteStream {
  return createWriteStream(file).on('error', () => undefined);
}

/** A script that boots the same machine on the terminal it is run from. */
export function replayScript(binary: string, args: readonly string[], swapMiB: number | undefined): string {
  const swap = swapMiB === undefined ? [] : [`truncate -s ${String(swapMiB)}M "$(dirname "$0")/swap.img"`];
  const command = [binary, ...args].map(shellQuote).join(' ');
  return ['#!/bin/sh', '# Boots this VM again; Ctrl-A X ends it.', ...swap, `exec ${command}`, ''].join('\n');
}
