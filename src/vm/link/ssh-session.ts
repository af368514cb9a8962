/** Commands and files in the guest over SSH: loopback only, and only to the host key that the console announced. */
import { setMaxListeners } from 'node:events';
import { createInterface } from 'node:readline';
import ssh2, { type ClientChannel } from 'ssh2';
import { onAbort, orAbort } from '../../util/on-abort.ts';
import { RigError } from '../../util/rig-error.ts';
import { boundedWait, type WaitBounds } from '../../util/bounded-wait.ts';
import { shellQuote } from '../../util/shell-quote.ts';

// A CommonJS package whose exports Node can't name one by one.
const { Client, utils } = ssh2;
type Client = InstanceType<typeof Client>;

export interface SshKeyPair {
  readonly publicKey: string;
  readonly privateKey: string;
}

export interface SshAddress {
  readonly port: number;
  /** Base64 of the only acceptable ssh-ed25519 public host key. */
  readonly hostKey: string;
  readonly privateKey: string;
}

export interface CommandResult {
  /** Null when a signal ended the command. */
  readonly exitCode: number | null;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

export type OnOutput = (chunk: Buffer, from: 'stdout' | 'stderr') => void;

interface OpenCommand {
  readonly channel: ClientChannel;
  /** Its exit code, once all is said; null when a signal, or the session, ended it. */
  readonly ended: Promise<number | null>;
}

/**
 * A key for one VM, or for a template and all its clones. Its private half is in this process, and in the template's
 * folder (0600).
 */
export function generateSshKey(): SshKeyPair {
  for (;;) {
    const pair = utils.generateKeyPairSync('ed25519');
    // One in some hundred of the keys that ssh2 writes is malformed (a part with a leading zero is cut short).
    if (!(utils.parseKey(pair.private) instanceof Error)) return { publicKey: pair.public, privateKey: pair.private };
  }
}

export class SshSession {
  readonly #client: Client;
  readonly #over = new AbortController();
  /** Resolves with the reason when the session ends, whoever ends it. */
  readonly lost: Promise<Error>;

  private constructor(client: Client) {
    this.#client = client;
    // One listener for each command under way: many are no leak.
    setMaxListeners(0, this.#over.signal);
    this.lost = new Promise((resolve) => onAbort(this.#over.signal, resolve));
    client.on('error', (cause) => this.#over.abort(sessionError(cause)));
    client.once('close', () =>
      this.#over.abort(new RigError('infrastructure', 'The SSH session to the guest was lost.')),
    );
  }

  static async connect(address: SshAddress, bounds: WaitBounds): Promise<SshSession> {
    const client = new Client();
    const expected = Buffer.from(address.hostKey, 'base64');
    let offered: Buffer | undefined;
    const ready = new Promise<void>((resolve, reject) => {
      client.once('ready', () => resolve());
      client.once('error', (cause) => reject(connectError(cause, expected, offered)));
    });
    client.connect({
      host: '127.0.0.1',
      port: address.port,
      username: 'root',
      privateKey: address.privateKey,
      readyTimeout: bounds.deadlineMs,
      algorithms: { serverHostKey: ['ssh-ed25519'] },
      hostVerifier: (key: Buffer) => {
        offered = key;
        return key.equals(expected);
      },
    });
    try {
      await boundedWait('The SSH connection to the guest', ready, bounds);
    } catch (error) {
      client.on('error', () => undefined);
      client.destroy();
      throw error;
    }
    return new SshSession(client);
  }

  /** Runs a shell command to its end, whatever its exit code; `onOutput` has what it prints as it comes. */
  async exec(
    command: string,
    bounds: WaitBounds,
    stdin: string | Buffer = '',
    onOutput: OnOutput = () => undefined,
  ): Promise<CommandResult> {
    const start = performance.now();
    let channel: ClientChannel | undefined;
    const output = this.#open(
      (onOpen) => this.#client.exec(command, onOpen),
      (opened) => {
        channel = opened;
        const collected = collectOutput(opened, onOutput);
        opened.end(stdin);
        return collected;
      },
    );
    try {
      const result = await boundedWait(`The guest command "${command}"`, output, bounds);
      return { ...result, durationMs: performance.now() - start };
    } catch (error) {
      channel?.destroy();
      throw error;
    }
  }

  /**
   * Runs a shell command as long as the session lasts, and hands out every line it prints; its end is nobody's concern.
   */
  follow(command: string, onLine: (line: string) => void): void {
    this.#client.exec(command, (error, channel) => {
      if (error) return;
      createInterface({ input: channel }).on('line', onLine);
      channel.on('error', () => undefined);
      channel.stderr.resume();
      channel.end();
    });
  }

  async putFile(path: string, content: string | Buffer, mode: number, bounds: WaitBounds): Promise<void> {
    const quoted = shellQuote(path);
    const { exitCode, stderr } = await this.exec(
      `cat > ${quoted} && chmod ${mode.toString(8)} ${quoted}`,
      bounds,
      content,
    );
    if (exitCode !== 0) throw new RigError('infrastructure', `Could not write ${path} in the guest: ${stderr.trim()}`);
  }

  /** A command whose streams are the caller's. */
  open(command: string): Promise<OpenCommand> {
    return this.#open((onOpen) => this.#client.exec(command, onOpen), watchEnd);
  }

  /** An interactive login shell, or this command instead, on a terminal of this size. */
  shell(window: { rows: number; cols: number; term: string }, command?: string): Promise<OpenCommand> {
    return this.#open((onOpen) => {
      if (command === undefined) this.#client.shell(window, onOpen);
      else this.#client.exec(command, { pty: window }, onOpen);
    }, watchEnd);
  }

  close(): void {
    this.#client.end();
    this.#client.destroy();
  }

  /** `use` is called before anything else happens: a short command's end may be in the same packet as its start. */
  async #open<T>(
    open: (onOpen: (error: Error | undefined, channel: ClientChannel) => void) => unknown,
    use: (channel: ClientChannel) => T | Promise<T>,
  ): Promise<T> {
    const used = new Promise<T>((resolve, reject) => {
      open((error, channel) => {
        if (error) reject(error);
        else resolve(use(channel));
      });
    });
    try {
      return await orAbort(used, this.#over.signal);
    } catch (error) {
      throw sessionError(error);
    }
  }
}

/** From the very beginning: a short command's end may be in the same packet as its start, and is not told twice. */
function watchEnd(channel: ClientChannel): OpenCommand {
  let code: number | null = null;
  const ended = new Promise<number | null>((resolve, reject) => {
    channel.once('exit', (exit: number | null) => (code = exit));
    channel.once('close', () => resolve(code));
    channel.once('error', reject);
  });
  // Whoever waits for it learns of it.
  ended.catch(() => undefined);
  return { channel, ended };
}

/** Far more than any program of ours says; without a bound a loop in the guest would take the host's memory. */
const MOST_OUTPUT = 16 * 2 ** 20;

function collectOutput(channel: ClientChannel, onOutput: OnOutput): Promise<Omit<CommandResult, 'durationMs'>> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    const keep = (part: Buffer[], from: 'stdout' | 'stderr') => (chunk: Buffer) => {
      onOutput(chunk, from);
      size += chunk.length;
      if (size <= MOST_OUTPUT) part.push(chunk);
      else reject(new RigError('infrastructure', 'The guest command did not stop to print: its output is too long.'));
    };
    channel.on('data', keep(stdout, 'stdout'));
    channel.stderr.on('data', keep(stderr, 'stderr'));
    let exit: { exitCode: number | null; signal: string | undefined } | undefined;
    channel.once('exit', (exitCode: number | null, signal?: string) => (exit = { exitCode, signal }));
    channel.once('error', reject);
    channel.once('close', () => {
      const text = { stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
      if (exit) resolve({ ...exit, ...text });
      else reject(new RigError('infrastructure', 'The SSH session ended before the command did.'));
    });
  });
}

/** What ssh2 throws says nothing about the test. */
function sessionError(cause: unknown): RigError {
  if (cause instanceof RigError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new RigError('infrastructure', `The SSH session to the guest failed: ${why}`, { cause });
}

function connectError(cause: Error, expected: Buffer, offered: Buffer | undefined): RigError {
  if (offered && !offered.equals(expected)) {
    return new RigError(
      'infrastructure',
      'The SSH server on the forwarded port is not our guest: its host key differs.',
      {
        cause,
      },
    );
  }
  return new RigError('infrastructure', `No SSH session to the guest: ${cause.message}`, { cause });
}
